import { describe, expect, it } from 'vitest'
import { usedSettings, whereToLook } from '../../src/cli/banner.ts'
import { type Config, loadConfig } from '../../src/config/config.ts'

function load(...argv: string[]): Config {
  const result = loadConfig({ argv, env: { REDIS_PASSWORD: 'hunter2' }, cwd: '.' })
  if ('faults' in result) throw new Error(result.faults.join('\n'))
  return result.config
}

const look = (config: Config, urls = ['http://127.0.0.1:6001']) => whereToLook(config, urls, 'npx gateway')

describe('whereToLook', () => {
  it('gives three lines to copy on the memory broker', () => {
    expect(look(load())).toBe(
      [
        'Laravel Echo SSE listens on http://127.0.0.1:6001',
        '',
        '  Look:     http://127.0.0.1:6001/',
        "  Listen:   curl -N 'http://127.0.0.1:6001/stream?channels=orders'",
        `  Publish:  npx gateway publish orders OrderShipped '{"id":1}' --http http://127.0.0.1:6001`,
        '',
        '',
      ].join('\n'),
    )
  })

  it('repeats the flags that say where Redis is, without its password', () => {
    const text = look(load('--redis', 'redis://u:hunter2@h', '--redis-prefix', "it's_", '--port', '1'))
    expect(text).toContain(`'{"id":1}' --redis 'redis://***@h' --redis-prefix 'it'\\''s_'\n`)
    expect(text).not.toContain('Look:')
  })

  it('says nothing about publishing when nobody can', () => {
    expect(look(load('--host', '0.0.0.0'))).not.toContain('Publish:')
  })

  it('shows curl the way to a Unix socket', () => {
    const text = look(load('--socket', '/run/my gateway.sock'), ['unix:/run/my gateway.sock'])
    expect(text).toContain("curl -N --unix-socket '/run/my gateway.sock' 'http://localhost/stream?channels=orders'")
  })
})

describe('usedSettings', () => {
  it('names what is not a default and where it came from, and no secret', () => {
    expect(
      usedSettings(load('--redis', 'rediss://u:hunter2@h:1/2', '--secret=0123456789abcdef', '--try-page')),
    ).toEqual({
      redis: 'rediss://***@h:1/2 (--redis)',
      redisPassword: '*** (REDIS_PASSWORD)',
      secret: '*** (--secret)',
      tryPage: 'true (--try-page)',
    })
  })
})
