import { isTooLong } from '../transports/address.ts'
import type { StreamRequest, TransportName } from '../transports/transport.ts'
import { HeldBack } from './held-back.ts'

/** Headers that EventSource may leave out: the gateway takes the CSRF token from its cookie instead. */
const SPARE = /^(x-csrf-token|x-requested-with|accept)$/i

/** Which transport a request takes: EventSource wherever it can serve. */
export class Choice {
  readonly asked: 'auto' | TransportName
  readonly heldBack: HeldBack
  /** The next request goes by fetch: EventSource does not say why it failed. */
  needsStatus = false
  /** The CSRF token in the cookie was refused; the one in the headers is still to be tried. */
  needsToken = false

  constructor(url: string, asked: 'auto' | TransportName = 'auto') {
    this.asked = asked
    this.heldBack = new HeldBack(url)
  }

  transport(request: StreamRequest, isTrial: boolean): TransportName {
    const { asked } = this
    const needsFetch = this.needsStatus || this.needsToken || needsHeaders(request) || isTooLong(request)
    this.needsStatus = false
    if (asked === 'poll' || asked === 'fetch') return asked
    if (asked === 'auto' && this.heldBack.isKnown && !isTrial) return 'poll'
    return needsFetch || typeof EventSource !== 'function' ? 'fetch' : 'eventsource'
  }

  /** Something kept streams back on the way here, long enough ago to see whether it still does. */
  get isDoubtful(): boolean {
    return this.asked === 'auto' && this.heldBack.isDoubtful
  }

  /** Why it is this transport, for people. */
  reason(transport: TransportName): string {
    if (transport === this.asked) return 'asked for'
    if (transport === 'eventsource') return 'default'
    return transport === 'poll' ? 'streams are held back on the way' : 'EventSource cannot serve here'
  }
}

function needsHeaders({ headers }: StreamRequest): boolean {
  return Object.keys(headers).some((name) => !SPARE.test(name))
}
