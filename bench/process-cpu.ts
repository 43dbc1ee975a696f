/** What a process has used of the processors, user and system, all its threads: to the nanosecond, as the scheduler counts it. */
import { readdirSync, readFileSync } from 'node:fs'

/** Microseconds since its start. Threads that have ended meanwhile are not in it: the subjects keep theirs. */
export function cpuOf(pid: number): number {
  let ns = 0
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    try {
      ns += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0])
    } catch {
      // It has just ended.
    }
  }
  return ns / 1_000
}

/** Resident memory in MiB. */
export function residentOf(pid: number): number {
  const [, kib] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Math.round(Number(kib) / 1_024)
}
