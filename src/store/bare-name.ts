/**
 * Google's APIs list their models as `models/<name>` and take both forms. One of them is the name: access lists, limits, prices and paths
 * must not be told two.
 */
const PREFIX = 'models/'

export function bareName(model: string): string {
  return model.startsWith(PREFIX) ? bareName(model.slice(PREFIX.length)) : model
}
