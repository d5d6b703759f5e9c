// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${NAME} is the syntax of .env files.
import { describe, expect, it } from 'vitest'
import { type LaravelEnv, parseLaravelEnv, readLaravelEnv } from '../../src/config/laravel-env.ts'
import { isSlugCertain, slug } from '../../src/config/laravel-slug.ts'
import { folderWith } from '../support/folder.ts'

function read(env: string, files: Record<string, string> = {}): LaravelEnv {
  const found = readLaravelEnv(folderWith({ '.env': env, ...files }))
  if (found === null) throw new Error('no .env was found')
  return found
}

/** The options a `.env` answers, without their sources. */
function options(env: string, files: Record<string, string> = {}): Record<string, string | undefined> {
  return Object.fromEntries([...read(env, files).given].map(([name, { texts }]) => [name, texts[0]]))
}

describe('a .env', () => {
  it('is read as Laravel reads it', () => {
    const text = [
      'APP_NAME="Acme Shop"',
      '# a comment',
      'export HOST=redis.test # after a value',
      'A=${HOST}:6379',
      'B="${HOST}/${MISSING}"',
      "C='${HOST}'",
      'D=${LATER}',
      'LATER=1',
      'EMPTY=',
      'HASH="a#b"',
      'ESCAPED="a\\$b \\${HOST} \\"q\\" c\\\\d"',
    ]
    expect(parseLaravelEnv(text.join('\r\n'))).toEqual({
      APP_NAME: 'Acme Shop',
      HOST: 'redis.test',
      A: 'redis.test:6379',
      B: 'redis.test/${MISSING}',
      C: '${HOST}',
      D: '${LATER}',
      LATER: '1',
      EMPTY: '',
      HASH: 'a#b',
      ESCAPED: 'a$b ${HOST} "q" c\\d',
    })
  })

  it('that is not there is no application', () => {
    expect(readLaravelEnv(folderWith({}))).toBeNull()
  })
})

describe('Redis', () => {
  const redis = (env: string) => {
    const { redis, redisUsername, redisPassword } = options(`BROADCAST_CONNECTION=redis\n${env}`)
    return [redis, redisUsername, redisPassword]
  }

  it.each([
    ['', ['redis://127.0.0.1:6379/0', undefined, undefined]],
    ['REDIS_HOST=r\nREDIS_PORT=6380\nREDIS_DB=2', ['redis://r:6380/2', undefined, undefined]],
    ['REDIS_PASSWORD=null', ['redis://127.0.0.1:6379/0', undefined, undefined]],
    ['REDIS_USERNAME=u\nREDIS_PASSWORD=p@/:', ['redis://127.0.0.1:6379/0', 'u', 'p@/:']],
    ['REDIS_SCHEME=tls\nREDIS_HOST=r', ['rediss://r:6379/0', undefined, undefined]],
    ['REDIS_HOST=tls://r', ['rediss://r:6379/0', undefined, undefined]],
    ['REDIS_HOST=::1', ['redis://[::1]:6379/0', undefined, undefined]],
    ['REDIS_HOST=/run/redis.sock\nREDIS_PORT=0', ['unix:///run/redis.sock', undefined, undefined]],
    ['REDIS_URL=redis://u:p@h:1/3\nREDIS_HOST=r\nREDIS_PASSWORD=x', ['redis://u:p@h:1/3', undefined, undefined]],
    ['REDIS_URL=tls://h\nREDIS_PASSWORD=x', ['rediss://h', undefined, 'x']],
  ])('%j', (env, expected) => {
    expect(redis(env)).toEqual(expected)
  })

  it('is taken only when Laravel broadcasts through it', () => {
    expect(options('BROADCAST_DRIVER=redis\nREDIS_HOST=r').redis).toBe('redis://r:6379/0')
    for (const connection of ['BROADCAST_CONNECTION=log', 'BROADCAST_CONNECTION=reverb', '']) {
      expect(options(`${connection}\nREDIS_HOST=r\nREDIS_PASSWORD=x`)).not.toHaveProperty('redis')
      expect(options(`${connection}\nREDIS_HOST=r\nREDIS_PASSWORD=x`)).not.toHaveProperty('redisPassword')
    }
  })

  it('names the variable and the file it came from', () => {
    const label = read('BROADCAST_CONNECTION=redis\nREDIS_HOST=r').given.get('redis')?.label
    expect(label).toMatch(/^`REDIS_HOST` in .*\/\.env$/)
  })
})

describe('the prefix', () => {
  const database = (expression: string) => ({
    'config/database.php': `<?php
return [
    'connections' => ['mysql' => ['prefix' => 'mysql_']],
    /* 'redis' => ['options' => ['prefix' => 'commented_']], */
    'redis' => [
        'client' => env('REDIS_CLIENT', 'phpredis'),
        'options' => [
            'cluster' => env('REDIS_CLUSTER', 'redis'),
            // 'prefix' => 'commented_',
            'prefix' => ${expression},
        ],
    ],
];`,
  })
  const OLD = "env('REDIS_PREFIX', Str::slug(env('APP_NAME', 'laravel'), '_').'_database_')"
  const NEW = "env('REDIS_PREFIX', Str::slug((string) env('APP_NAME', 'laravel')).'-database-')"
  const prefix = (env: string, files: Record<string, string> = {}) => options(env, files).redisPrefix

  it.each([
    ['the old spelling', 'APP_NAME="My App"', OLD, 'my_app_database_'],
    ['the new spelling', 'APP_NAME="My App"', NEW, 'my-app-database-'],
    ['no name', '', OLD, 'laravel_database_'],
    ['a name that slugs to nothing', 'APP_NAME="***"', NEW, '-database-'],
    ['REDIS_PREFIX', 'APP_NAME=x\nREDIS_PREFIX=mine:', OLD, 'mine:'],
    ['an empty REDIS_PREFIX', 'REDIS_PREFIX=', OLD, ''],
    ['REDIS_PREFIX=null', 'REDIS_PREFIX=null', OLD, ''],
    ['a literal', 'REDIS_PREFIX=ignored', "'fixed_'", 'fixed_'],
    ['a literal default', '', "env('REDIS_PREFIX', 'own_')", 'own_'],
    ['no default', '', "env('REDIS_PREFIX')", ''],
    ['another variable', 'OTHER=o_', "env('OTHER', 'x')", 'o_'],
    ['str_slug', 'APP_NAME="My App"', "str_slug(env('APP_NAME', 'laravel'), '_').'_database_'", 'my_app_database_'],
  ])('of config/database.php: %s', (_what, env, expression, expected) => {
    expect(prefix(env, database(expression))).toBe(expected)
  })

  it('is left open, with a note, when config/database.php computes it', () => {
    const found = read('APP_NAME=x', database('tenant()->prefix()'))
    expect(found.given.has('redisPrefix')).toBe(false)
    expect(found.notes.join()).toMatch(/set --redis-prefix/)
  })

  it("comes from the framework's own configuration when the application has none", () => {
    const base = Object.values(database(NEW))[0] ?? ''
    expect(prefix('APP_NAME=x', { 'vendor/laravel/framework/config/database.php': base })).toBe('x-database-')
  })

  it('follows the version of the framework when there is no configuration to read', () => {
    const lock = (version: string) => ({
      'composer.lock': JSON.stringify({ packages: [{ name: 'laravel/framework', version }] }, null, 4),
    })
    expect(prefix('APP_NAME=x', lock('v13.26.1'))).toBe('x-database-')
    expect(prefix('APP_NAME=x', lock('v12.67.0'))).toBe('x_database_')
    expect(prefix('APP_NAME=x')).toBe('x_database_')
  })

  it('is empty when the configuration of redis has none', () => {
    expect(prefix('APP_NAME=x', { 'config/database.php': "<?php return ['redis' => ['client' => 'predis']];" })).toBe(
      '',
    )
  })

  it('keeps the other spelling for diagnostics', () => {
    expect(read('APP_NAME=x').alternativePrefixes).toEqual(['x-database-'])
    expect(read('APP_NAME=x\nREDIS_PREFIX=y').alternativePrefixes).toEqual(['x_database_', 'x-database-'])
  })

  it('is doubted when the letters of the name cannot be spelled for sure', () => {
    expect(read('APP_NAME="Ελλάδα"').notes.join()).toMatch(/uncertain.*--redis-prefix/)
    expect(read('APP_NAME="Café"').notes.join()).not.toMatch(/uncertain/)
  })
})

describe('slug', () => {
  // What Str::slug of laravel/framework 12 answers, with voku/portable-ascii 2, for `_` and for `-`.
  it.each([
    ['Laravel', 'laravel', 'laravel'],
    ['My App', 'my_app', 'my-app'],
    ['acme-shop_2', 'acme_shop_2', 'acme-shop-2'],
    ['Café Müller', 'cafe_muller', 'cafe-muller'],
    ['Straße & Söhne', 'strasse_sohne', 'strasse-sohne'],
    ['Łódź Ærø', 'lodz_aero', 'lodz-aero'],
    ['A@B', 'a_at_b', 'a-at-b'],
    ['user@host.com', 'user_at_hostcom', 'user-at-hostcom'],
    ['  --x__y--  ', 'x_y', 'x-y'],
    ['***', '', ''],
    ['日本', '', ''],
    ['Магазин', 'magazin', 'magazin'],
    ['Щука ёж', 'shhuka_ez', 'shhuka-ez'],
    ['Дія', 'diia', 'diia'],
    ['Tiếng Việt', 'tieng_viet', 'tieng-viet'],
    ['naïve’s “shop”', 'naives_shop', 'naives-shop'],
    ['50€ deal', '50eur_deal', '50eur-deal'],
    ['A–B—C', 'a_b_c', 'a-b-c'],
    ['a\tb', 'a_b', 'a-b'],
    ['Foo.Bar', 'foobar', 'foobar'],
    ['İstanbul ı', 'istanbul_i', 'istanbul-i'],
    ['Œuvre ÿ', 'oeuvre_y', 'oeuvre-y'],
    ['Søren ð Þór', 'soren_d_thor', 'soren-d-thor'],
    ['x © ® ™ £5', 'x_ps5', 'x-ps5'],
    ['ĶĢķģ', 'kgkg', 'kgkg'],
  ])('%j', (title, underscored, dashed) => {
    expect([slug(title, '_'), slug(title, '-')]).toEqual([underscored, dashed])
  })

  it('knows what it does not know', () => {
    for (const title of ['My App', 'Café', 'Магазин мышь', '***', 'a — b'])
      expect(isSlugCertain(title), title).toBe(true)
    for (const title of ['日本', 'Ελλάδα', '5 ₺']) expect(isSlugCertain(title), title).toBe(false)
  })
})

describe('notes', () => {
  const notes = (env: string, files = {}) => read(env, files).notes.join('\n')

  it('name a broadcaster that sends nothing, as the .env writes it', () => {
    expect(notes('BROADCAST_CONNECTION=log')).toMatch(/has BROADCAST_CONNECTION=log: broadcasts go nowhere/)
    expect(notes('BROADCAST_CONNECTION=null')).toMatch(/has BROADCAST_CONNECTION=null: broadcasts go nowhere/)
    expect(notes('BROADCAST_DRIVER=log')).toMatch(/has BROADCAST_DRIVER=log: broadcasts go nowhere/)
    expect(notes('')).toMatch(/has no BROADCAST_CONNECTION: broadcasts go nowhere/)
  })

  it('name the address for a broadcaster that sends by HTTP', () => {
    expect(notes('BROADCAST_CONNECTION=reverb')).toMatch(/must publish to this gateway's \/apps/)
  })

  it('name the worker a queue needs, also the one Laravel has by default', () => {
    const redis = 'BROADCAST_CONNECTION=redis'
    const files = { 'vendor/laravel/framework/config/queue.php': "'default' => env('QUEUE_CONNECTION', 'database')," }
    expect(notes(`${redis}\nQUEUE_CONNECTION=redis`)).toMatch(/QUEUE_CONNECTION=redis: .*queue:work/)
    expect(notes(redis, files)).toMatch(/QUEUE_CONNECTION=database: .*queue:work/)
    expect(notes(`${redis}\nQUEUE_CONNECTION=deferred`, files)).toBe('')
    const own = { ...files, 'config/queue.php': "'default' => env('QUEUE_CONNECTION', 'sync')," }
    expect(notes(redis, own)).toBe('')
  })

  it('give the line for a configuration without a redis connection', () => {
    const without = "<?php return ['connections' => ['log' => ['driver' => 'log']]];"
    const line = /'redis' => \['driver' => 'redis', 'connection' => 'default'\]/
    const own = notes('BROADCAST_CONNECTION=redis', { 'config/broadcasting.php': without })
    expect(own).toMatch(line)
    const framework = notes('BROADCAST_CONNECTION=redis', {
      'vendor/laravel/framework/config/broadcasting.php': without,
    })
    expect(framework).toMatch(line)
    expect(framework).toMatch(/php artisan config:publish broadcasting/)
  })

  it('are none when all is well', () => {
    const files = { 'config/broadcasting.php': "<?php return ['connections' => ['redis' => ['driver' => 'redis']]];" }
    expect(notes('BROADCAST_CONNECTION=redis\nQUEUE_CONNECTION=sync', files)).toBe('')
  })
})
