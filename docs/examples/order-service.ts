// A backend that routes for itself: it numbers orders, tells the customer, and looks who is online,
// asking the routers directly.
//
//   export RINGSET_SECRET=$(cat .ringset/secret)
//   npx tsx docs/examples/order-service.ts 127.0.0.1:7001 ann [orders]
import { LogicClient, p2pSession } from '../../src/client/client.ts'

const [addresses = '127.0.0.1:7001', customer = 'ann', orders = '3'] = process.argv.slice(2)
const shop = 'shop'

const client = new LogicClient({
  addresses: addresses.split(','),
  secret: Buffer.from(process.env.RINGSET_SECRET ?? '', 'hex'),
  name: `order-service-${process.pid}`
})

// Order numbers never repeat, whatever crashes; one call fetches as many as are needed.
const count = Number(orders)
const { first } = await client.sequence('orders', count)
const session = p2pSession(shop, customer)

for (let number = first; number < first + count; number++) {
  // The order number is a counter, so it serves as the message id: repeating this call cannot send
  // twice.
  const { msgid, duplicate } = await client.append({
    session,
    uid: shop,
    deviceId: 'order-service',
    clientMsgId: number,
    type: 0,
    body: Buffer.from(`order ${number} is on its way`)
  })
  console.log(`order ${number} is message #${msgid}${duplicate ? ' (again)' : ''}`)
}

const [newest] = await client.latest([session])
const [online] = await client.lookup([customer])
console.log(`${customer} is at message #${newest?.msgid}, on ${online?.routes.length} devices`)

const { requests, extraHops } = client.counters
console.log(`${requests} requests took ${extraHops} extra hops`)
await client.close()
