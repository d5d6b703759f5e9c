import Echo from 'laravel-echo'
import { SsePusher } from 'laravel-echo-sse'

globalThis.echo = new Echo({ broadcaster: 'reverb', key: 'x', Pusher: SsePusher, url: '/sse' })
