import { type Curl, type CurlOptions, curl, curlPost, type Posted } from './curl.ts'

/** What a member of a channel was told: `+7` joined, `-7` left. */
export type Coming = `+${string}` | `-${string}`

/** A page that is a person with curl: what it listens to, and what it sends with what proves it. */
export class CurlPage {
  readonly stream: Curl
  readonly socketId: string
  readonly #key: string
  readonly #login: CurlOptions

  constructor(stream: Curl, { socketId, key }: { socketId: string; key: string }, login: CurlOptions) {
    this.stream = stream
    this.socketId = socketId
    this.#key = key
    this.#login = login
  }

  /** Who came and who left on all its channels, in order, as far as it was told. */
  get comings(): Coming[] {
    return this.stream.frames.flatMap(({ event, data }): Coming[] => {
      if (event === 'joining') return [`+${data.member.id}`]
      return event === 'leaving' ? [`-${data.member.id}`] : []
    })
  }

  /** Resolves when the page is told so. */
  async until(coming: Coming): Promise<void> {
    while (!this.comings.includes(coming)) await this.stream.next(coming.startsWith('+') ? 'joining' : 'leaving')
  }

  /** `POST /whisper` at any gateway. */
  whisper(gatewayUrl: string, channel: string, event: string, data: unknown): Promise<Posted> {
    return this.#post(`${gatewayUrl}/whisper`, { channel, event, data })
  }

  /** `POST /leave` at any gateway. */
  leave(gatewayUrl: string): Promise<Posted> {
    return this.#post(`${gatewayUrl}/leave`, {})
  }

  #post(url: string, body: object): Promise<Posted> {
    return curlPost(url, { socketId: this.socketId, key: this.#key, ...body }, this.#login)
  }
}

/** Opens a stream; resolves when the gateway has said who the page is. */
export async function openPage(gatewayUrl: string, channels: string, login: CurlOptions = {}): Promise<CurlPage> {
  const stream = await curl(`${gatewayUrl}/stream?channels=${channels}`, login)
  const { data } = await stream.next('connected')
  // The key is bound to the Authorization header, else to the gateway's own cookie.
  const cookies = [login.cookie, stream.ownCookie].filter((cookie) => cookie !== undefined && cookie !== '')
  return new CurlPage(stream, data, cookies.length === 0 ? login : { ...login, cookie: cookies.join('; ') })
}
