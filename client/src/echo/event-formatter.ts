/** Event names as Laravel's broadcaster writes them, and back. */
export class EventFormatter {
  #namespace: string

  constructor(namespace: string | false | null | undefined) {
    this.#namespace = withBackslashes(namespace)
  }

  setNamespace(namespace: string | false | null | undefined): void {
    this.#namespace = withBackslashes(namespace)
  }

  /** `OrderShipped` to `App\Events\OrderShipped`; a leading dot or backslash says that the name is whole. */
  format(event: string): string {
    return /^[.\\]/.test(event) ? event.slice(1) : this.#namespace + event.replaceAll('.', '\\')
  }

  /** The name to listen to with. */
  shorten(event: string): string {
    const namespace = this.#namespace
    return namespace !== '' && event.startsWith(namespace) ? event.slice(namespace.length) : `.${event}`
  }
}

function withBackslashes(namespace: string | false | null | undefined): string {
  return namespace ? `${namespace.replaceAll('.', '\\')}\\` : ''
}
