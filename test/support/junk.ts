const REQUESTS = [
  'GET /stream?channels=a,private-b&lastEventId=1.2.3 HTTP/1.1\r\nHost: x\r\nCookie: a=b\r\n\r\n',
  'POST /stream HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"channels":"a"}',
  'POST /stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n2\r\n{}\r\n0\r\n\r\n',
  'POST /apps/local/events?auth_key=local&auth_version=1.0 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}',
  'OPTIONS /stream HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n\r\n',
  'GET /stream?channels=a HTTP/1.0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 1, 2, ::\r\n\r\n',
  'GET http://x/health HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nExpect: wonders\r\n\r\n',
  'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n',
  'GET /stream?channels=%00%ff%E2&channel=%&mode=poll&wait=0 HTTP/1.1\r\nHost: [::\r\nReferer: \\\\\r\nOrigin: ://\r\n\r\n',
]

/** Requests that are broken, each in another way; the same ones in every run. */
export function junkRequests(count: number, seed = 1): Buffer[] {
  const random = randomNumbers(seed)
  return Array.from({ length: count }, (_, index) => {
    if (index % 4 === 0) return Buffer.from(Array.from({ length: random(300) }, () => random(256)))
    return mutated(Buffer.from(REQUESTS[random(REQUESTS.length)] as string, 'latin1'), random)
  })
}

function mutated(bytes: Buffer, random: (limit: number) => number): Buffer {
  let result = bytes
  for (let changes = random(4); changes > 0; changes -= 1) {
    const at = random(result.length + 1)
    const [before, after] = [result.subarray(0, at), result.subarray(at)]
    const noise = Buffer.from(Array.from({ length: random(6) }, () => random(256)))
    const kept = [before, noise, after.subarray(random(2) * random(8))]
    result = Buffer.concat(random(8) === 0 ? [before] : random(8) === 0 ? [...kept, ...kept] : kept)
  }
  return result
}

/** Numbers from 0 up to a limit, always the same ones (mulberry32). */
function randomNumbers(seed: number): (limit: number) => number {
  let state = seed
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit)
  }
}
