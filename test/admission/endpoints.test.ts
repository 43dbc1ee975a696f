import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endpointOfNativePath, NATIVE_ROUTES } from '../../src/admission/endpoints.ts'

test('every native route is known by a path of it, with the model where the path carries one', () => {
  for (const { path, format, endpoint, classic = false } of NATIVE_ROUTES) {
    const asked = path.replace(':deployment', 'a%20name').replace(':model(^[^/]+)::', 'a%20name:')
    const pathModel = asked === path ? null : 'a name'
    assert.deepEqual(endpointOfNativePath(asked), { format, endpoint, pathModel, classic }, path)
  }
  for (const path of ['/v1/files', '/v1/chat/Completions', '/openai/deployments/a/files', '/', '']) {
    assert.equal(endpointOfNativePath(path), null, path)
  }
})
