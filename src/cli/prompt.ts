import { createInterface, type Interface } from 'node:readline'

/** Asks a person line by line. What is piped in ahead of the questions waits for them. */
export type Prompt = {
  /** null when there is nobody to answer any more. */
  ask(question: string): Promise<string | null>
  close(): void
}

/** Reads nothing before the first question. */
export function createPrompt(input: NodeJS.ReadableStream, say: (text: string) => void): Prompt {
  let open: { lines: Interface; answers: AsyncIterator<string> } | null = null
  return {
    async ask(question) {
      if (open === null) {
        const lines = createInterface({ input, terminal: false })
        open = { lines, answers: lines[Symbol.asyncIterator]() }
      }
      say(question)
      const { value, done } = await open.answers.next()
      return done === true ? null : value.trim()
    },
    close: () => open?.lines.close(),
  }
}
