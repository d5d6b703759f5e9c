import Echo from 'laravel-echo'
import { SsePusher } from 'laravel-echo-sse'
import nacl from 'tweetnacl'

globalThis.open = (options) => {
  const onError = (error) => tell('failure', error.message)
  globalThis.echo = new Echo({ broadcaster: 'pusher', key: 'x', Pusher: SsePusher, url: '/sse', onError, ...options })
}
globalThis.nacl = nacl
