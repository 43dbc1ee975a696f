/**
 * Define plugin: the form of a platform team's own plugin, which `plugins` in bursar.yaml loads into the gateway.
 */
import type { Static, TSchema } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import type { Answer, AskedRequest, SettledEvent } from './extension/hooks.ts'

const MARK = Symbol.for('bursar.plugin')

export interface PluginDefinition<Schema extends TSchema = TSchema> {
  /** How logs and metrics call it. */
  readonly name: string
  /** JSON schema or TypeBox: what `options` in bursar.yaml may be; its defaults are filled in. Absent = no options. */
  readonly optionsSchema?: Schema
  /** Codes (lower case and `_`, none of Bursar's own) that `beforeAdmission` may refuse with, and their HTTP statuses (400 to 599). */
  readonly refusals?: Readonly<Record<string, number>>
  /** Asked before anything is held. One that fails has the request refused. */
  beforeAdmission?(asked: AskedRequest, options: Static<Schema>): Answer | Promise<Answer>
  /** Told of every attempt after it is in the books. The answer does not wait for it. */
  afterSettlement?(event: SettledEvent, options: Static<Schema>): unknown
  /** Anything else, as a Fastify plugin: its routes ask for a virtual key, its hooks stay its own unless it is wrapped in fastify-plugin. */
  register?(fastify: FastifyInstance, options: Static<Schema>): Promise<void>
}

/** Marks a definition as one of ours, so that the loader knows it; the types of its options come from the schema. */
export function definePlugin<Schema extends TSchema>(definition: PluginDefinition<Schema>): PluginDefinition<Schema> {
  return Object.assign({ ...definition }, { [MARK]: true })
}

export function isPluginDefinition(value: unknown): value is PluginDefinition {
  return typeof value === 'object' && value !== null && MARK in value
}
