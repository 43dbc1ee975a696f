/** Customers in the database. */
import type { Customer } from '../../store/entities.ts'
import { customerFromRow, rowOfCustomer } from '../rows.ts'
import { containing, type Db, type Page } from './db.ts'

export async function findCustomer(db: Db, id: string): Promise<Customer | null> {
  const row = await db.selectFrom('customers').selectAll().where('id', '=', id).executeTakeFirst()
  return row === undefined ? null : customerFromRow(row)
}

export async function findCustomerByName(db: Db, name: string): Promise<Customer | null> {
  const row = await db.selectFrom('customers').selectAll().where('name', '=', name).executeTakeFirst()
  return row === undefined ? null : customerFromRow(row)
}

export async function insertCustomer(db: Db, customer: Customer): Promise<void> {
  await db.insertInto('customers').values(rowOfCustomer(customer)).execute()
}

export async function updateCustomer(db: Db, customer: Customer): Promise<void> {
  const { id, ...columns } = rowOfCustomer(customer)
  await db.updateTable('customers').set(columns).where('id', '=', id).execute()
}

export async function deleteCustomer(db: Db, id: string): Promise<void> {
  await db.deleteFrom('customers').where('id', '=', id).execute()
}

export async function pageOfCustomers(db: Db, page: Page, { search }: { search?: string }): Promise<Customer[]> {
  let query = db.selectFrom('customers').selectAll().orderBy('id').limit(page.limit)
  if (page.after !== null) query = query.where('id', '>', page.after)
  if (search !== undefined) query = query.where('name', 'ilike', containing(search))
  return (await query.execute()).map(customerFromRow)
}

/** Those that the configuration file has made. */
export async function customersOfFile(db: Db): Promise<Customer[]> {
  return (await db.selectFrom('customers').selectAll().where('managed_by', '=', 'file').execute()).map(customerFromRow)
}
