// Required before programs that have no setting for it: what they listen on is this machine's alone.
const { Server } = require('node:net')

const { listen } = Server.prototype
Server.prototype.listen = function (...args) {
  if (typeof args[0] === 'number') args.splice(1, typeof args[1] === 'string' ? 1 : 0, '127.0.0.1')
  else if (typeof args[0] === 'object' && args[0] !== null && args[0].port !== undefined) args[0].host = '127.0.0.1'
  return listen.apply(this, args)
}
