import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { flagOf, type Option } from '../../src/config/option.ts'
import { OPTIONS } from '../../src/config/options.ts'
import { runProgram } from '../support/program.ts'

describe('the program', () => {
  it.each([[[]], [['--help']], [['-h']], [['help']]])('lists its commands: %j', async (args) => {
    const { code, out, err } = await runProgram(args)
    expect({ code, err }).toEqual({ code: 0, err: '' })
    for (const command of ['start', 'publish', 'revoke', 'acl']) expect(out).toMatch(new RegExp(`^ +${command} `, 'm'))
    expect(out).not.toContain('config-docs')
  })

  it('tells its version', async () => {
    const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'))
    expect(await runProgram(['--version'])).toEqual({ code: 0, out: `${version}\n`, err: '' })
  })

  it.each(['start', 'publish', 'revoke', 'acl', 'config-docs'])('explains %s', async (command) => {
    const { code, out, err } = await runProgram([command, '--help', '--port', 'nonsense'])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(new RegExp(`^Usage: laravel-echo-sse-server ${command}`))
  })

  it('explains every option of start, with variable and default', async () => {
    const { out } = await runProgram(['start', '--help'])
    expect(out).toMatch(/--heartbeat-ms MS\n.*\n? .*HEARTBEAT_MS; default: 15000/)
    expect(out).toMatch(/--redis URL\n[^-]*REDIS_URL/)
    const explained = out.match(/^ {2}--[\w-]+/gm)?.map((flag) => flag.trim())
    expect(explained?.sort()).toEqual(
      Object.entries<Option>(OPTIONS)
        .map(([name, option]) => flagOf(name, option))
        .sort(),
    )
    expect(out.split('\n').every((line) => line.length <= 100)).toBe(true)
  })

  it.each([
    [['strat'], /`strat` is not a command; did you mean `start`\?/],
    [['--port', '1'], /Name a command before --port/],
    [['__proto__'], /is not a command/],
  ])('refuses %j', async (args, sentence) => {
    const { code, out, err } = await runProgram(args)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toMatch(sentence)
  })

  it('tells all faults of a configuration, one a line, and exits with 2', async () => {
    const { code, out, err } = await runProgram(['start', '--port', 'abc', '--hots', 'x'], {
      env: { REDIS_URL: 'localhost' },
    })
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err.trimEnd().split('\n')).toEqual([
      '`--hots` is not an option; did you mean `--host`?',
      '`--port` must be a number from 0 to 65535, got `abc`.',
      '`REDIS_URL` must be a redis://, rediss:// or unix:// URL, such as redis://127.0.0.1:6379, got `localhost`.',
    ])
  })
})
