import { defineConfig, type UserConfig } from 'tsdown'
import { shortNames } from './short-names.ts'

/** The oldest browsers that keep `#private` names as they are: rewriting them costs bytes. */
const everywhere: UserConfig = {
  platform: 'browser',
  target: 'es2022',
  logLevel: 'warn',
  failOnWarn: true,
  plugins: [shortNames],
  checks: { pluginTimings: false },
}

// Not minified: who bundles them does that, and until then a stack trace can be read. But constants are put where they are
// used, which not every bundler does across a whole file.
const entries: UserConfig = {
  ...everywhere,
  entry: ['src/index.ts', 'src/pusher.ts', 'src/vue.ts', 'src/react.ts'],
  dts: true,
  minify: {
    compress: { sequences: false, joinVars: false },
    mangle: false,
    codegen: { removeWhitespace: false },
  },
}

export default defineConfig([
  { ...entries, format: 'esm', outExtensions: () => ({ js: '.mjs', dts: '.d.mts' }), sourcemap: true },
  {
    ...entries,
    format: 'cjs',
    outExtensions: () => ({ js: '.cjs', dts: '.d.cts' }),
    outputOptions: {
      exports: 'named',
      // Where pusher-js is expected, `require()` has to give the class itself, as pusher-js does.
      footer: ({ name, isEntry }) =>
        isEntry && name === 'pusher' ? 'module.exports = Object.assign(exports.default, exports);' : '',
    },
  },
  {
    ...everywhere,
    entry: { 'echo-sse': 'src/iife.ts' },
    format: 'iife',
    globalName: 'EchoSSE',
    outputOptions: { entryFileNames: '[name].iife.js' },
    minify: true,
    dts: false,
  },
])
