/**
 * Peers: other people's proxies, where they are on this machine. They govern nothing: what they cost is what a call through them costs before
 * anybody has asked who pays for it.
 *
 *     nginx        on PATH (Debian: nginx)
 *     Portkey      `BENCH_PORTKEY` names the folder it is installed in, with the versions of its own lock file (`overrides` hono 4.9.7,
 *                  @hono/node-server 1.13.5, @hono/node-ws 1.2.0; others answer streams with 500)
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '../test/helpers/ports.ts'

export interface Peer {
  readonly name: string
  readonly origin: string
  readonly child: ChildProcess
  readonly pids: () => readonly number[]
  readonly headers: Readonly<Record<string, string>>
}

/** @param upstream origin of the provider */
export async function startPeers(folder: string, upstream: string): Promise<Peer[]> {
  const peers = [await startNginx(folder, upstream), await startPortkey(upstream)]
  return peers.filter((peer) => peer !== null)
}

async function startNginx(folder: string, upstream: string): Promise<Peer | null> {
  if (spawnSync('nginx', ['-v']).error !== undefined) return null
  const port = await freePort()
  const home = join(folder, 'nginx')
  mkdirSync(home)
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${home}/${kind};`)
  writeFileSync(
    join(home, 'nginx.conf'),
    `daemon off; worker_processes 1; pid ${home}/pid; error_log stderr crit; events { worker_connections 4096; }
     http { access_log off; ${paths.join(' ')} client_max_body_size 32m; client_body_buffer_size 1m; keepalive_requests 10000000;
       upstream provider { server ${new URL(upstream).host}; keepalive 128; keepalive_requests 10000000; }
       server { listen 127.0.0.1:${port};
         location / { proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; } } }`,
  )
  const child = spawn('nginx', ['-p', home, '-c', join(home, 'nginx.conf')], { stdio: ['ignore', 'ignore', 'inherit'] })
  const origin = `http://127.0.0.1:${port}`
  await listening(origin, child)
  const pids = () => [child.pid ?? 0, ...childrenOf(child.pid ?? 0)]
  return { name: 'nginx, one worker', origin, child, pids, headers: { authorization: 'Bearer sk-of-the-provider' } }
}

async function startPortkey(upstream: string): Promise<Peer | null> {
  const folder = process.env.BENCH_PORTKEY
  if (folder === undefined) return null
  const port = await freePort()
  const program = join(folder, 'node_modules/@portkey-ai/gateway/build/start-server.js')
  const loopback = new URL('./subjects/loopback.cjs', import.meta.url).pathname
  const child = spawn(process.execPath, ['--require', loopback, program, `--port=${port}`, '--headless'], {
    env: { PATH: process.env.PATH },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const origin = `http://127.0.0.1:${port}`
  await listening(origin, child)
  const headers = {
    authorization: 'Bearer sk-of-the-provider',
    'x-portkey-provider': 'openai',
    'x-portkey-custom-host': `${upstream}/v1`,
    'x-portkey-forward-headers': 'x-bench-stream',
  }
  return { name: '@portkey-ai/gateway', origin, child, pids: () => [child.pid ?? 0], headers }
}

function childrenOf(pid: number): number[] {
  const { stdout } = spawnSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' })
  return stdout.split('\n').flatMap((line) => (line.trim() === '' ? [] : [Number(line)]))
}

async function listening(origin: string, child: ChildProcess): Promise<void> {
  for (let tried = 0; tried < 200; tried += 1) {
    if (child.exitCode !== null) break
    try {
      await (await fetch(origin)).arrayBuffer()
      return
    } catch {
      await delay(50)
    }
  }
  throw new Error(`${origin} does not answer`)
}
