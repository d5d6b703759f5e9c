/** Says it again, after a while each time, until it was heard. */
export async function untilSettled(heard: Promise<void>, say: () => Promise<void>, everyMs = 200): Promise<void> {
  let isHeard = false
  const done = heard.then(() => {
    isHeard = true
  })
  while (!isHeard) {
    await say()
    await Promise.race([done, new Promise((resolve) => setTimeout(resolve, everyMs))])
  }
}
