import { describe, expect, it } from 'vitest'
import { runProgram } from '../support/program.ts'

describe('a command of laravel-echo-server', () => {
  it.each<[string[], RegExp]>([
    [['stop'], /There is no `stop`.*kill PID/],
    [['stop', '--config', 'laravel-echo-server.json'], /There is no `stop`/],
    [['client:add', 'app'], /There is no `client:add`.*--app-secret/],
    [['client:remove', 'app'], /There is no `client:remove`.*`clients`/],
  ])('says what to use instead: %j', async (words, sentence) => {
    const { code, out, err } = await runProgram(words)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toMatch(sentence)
  })

  it('is not in the list of commands, init is', async () => {
    const { out } = await runProgram(['--help'])
    expect(out).toMatch(/^ +init +Ask/m)
    expect(out).not.toMatch(/stop|client:|configure/)
  })
})

describe('a flag of its start', () => {
  it.each<[string[], string]>([
    [['--dev'], '`--dev` is not an option; `--log-level debug` logs everything.'],
    [
      ['--dir', '/srv/app'],
      '`--dir` is not an option; name the file with its folder, `--config DIR/laravel-echo-server.json`.',
    ],
    [
      ['--force'],
      '`--force` is not an option; there is no lock file. Stop the gateway that runs (SIGTERM), then start.',
    ],
  ])('says what to use instead: %j', async (words, sentence) => {
    expect(await runProgram(['start', ...words])).toEqual({ code: 2, out: '', err: `${sentence}\n` })
  })
})
