/** Where core code says what happened: the part of a pino logger that it needs, so that it depends on none. */
export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** For places where nobody listens, such as a test that looks elsewhere. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} }
