/**
 * Makes a new embedded database, in a process of its own: initdb leaves some 450 MB behind, which only the end of its process returns.
 *
 * Run by `embedded.ts` as a child: `node embedded-init.ts <directory>`. The caller renames the directory when this has succeeded.
 */
import { argv } from 'node:process'
import { PGlite } from '@electric-sql/pglite'

const directory = argv[2]
if (directory === undefined) throw new Error('embedded-init needs the directory to make')
const database = await PGlite.create({ dataDir: directory })
await database.close()
