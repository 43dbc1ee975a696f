import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { KnownPaths } from '../../src/admission/known-paths.ts'

describe('known paths', () => {
  const paths = new KnownPaths()
  paths.add('/v1/models', ['GET'])
  paths.add('/v1/models', ['HEAD'])
  paths.add('/v1/models/:id', ['GET'])
  paths.add('/v1/audio/*', ['POST'])
  paths.add('/v1beta/models/:model([^:/]+)::generateContent', ['POST'])
  paths.add('/a.b', ['GET'])
  paths.add('/:provider/*', ['GET', 'POST', 'PUT'])
  paths.add('*', ['OPTIONS'])

  test('a path takes the methods of every route whose pattern it fits', () => {
    const rows: readonly [path: string, methods: readonly string[]][] = [
      ['/v1/models', ['GET', 'HEAD']],
      ['/v1/models/', []],
      ['/v1/models/gpt-4o', ['GET']],
      ['/v1/models/openai/gpt-4o', []],
      ['/v1/audio/speech', ['POST']],
      ['/v1/audio/a/b', ['POST']],
      ['/v1beta/models/gemini-2.5-flash:generateContent', ['POST']],
      ['/v1beta/models/gemini-2.5-flash:other', []],
      ['/a.b', ['GET']],
      ['/axb', []],
    ]
    for (const [path, methods] of rows) assert.deepEqual(paths.methodsOf(path), methods, path)
  })

  test('a route whose first part is a parameter makes no path known', () => {
    assert.deepEqual(paths.methodsOf('/anything/at/all'), [])
  })
})
