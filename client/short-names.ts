import { transform } from 'esbuild'

/**
 * The data our own parts know of each other. Bundlers shorten `#private` names and local ones; these they must leave as they
 * are, because they cannot know that none is a word of the wire, of the browser, or of the page. Methods keep their names:
 * stack traces are read.
 */
export const INTERNAL_NAMES = [
  'choice',
  'cursor',
  'hasNews',
  'heardAt',
  'held',
  'isAsked',
  'isChanged',
  'isConnected',
  'isDoubtful',
  'isDue',
  'isEmpty',
  'isFailing',
  'isFresh',
  'isOpen',
  'isRevived',
  'isSet',
  'isTold',
  'isUndecided',
  'isWanted',
  'isWhole',
  'joined',
  'needsStatus',
  'needsToken',
  'onAnswer',
  'onCacheMiss',
  'onEnd',
  'onFrame',
  'onMember',
  'onMessage',
  'onRefused',
  'onReleased',
  'onSentAway',
  'onRetry',
  'onState',
  'onSubscribed',
  'onTransport',
  'openedAt',
  'pace',
  'parameters',
  'proof',
  'refusal',
  'refusals',
  'wasAtLogin',
] as const

/** One for each of them. */
export const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'

/** Gives each of them one letter, the same everywhere. Their types keep the long names. */
export const shortNames = {
  name: 'short-names',
  transform: (code: string, file: string) =>
    /(?<!\.d)\.ts$/.test(file)
      ? transform(code, {
          loader: 'ts',
          target: 'es2022',
          sourcemap: true,
          sourcefile: file,
          mangleProps: new RegExp(`^(${INTERNAL_NAMES.join('|')})$`),
          mangleCache: Object.fromEntries(INTERNAL_NAMES.map((name, at) => [name, LETTERS[at] as string])),
        })
      : null,
}
