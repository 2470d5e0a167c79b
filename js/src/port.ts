// A two-way line between a page and the member that works for it, whether that is in a worker or not.

/** One end of a line. */
export interface Port<Out, In> {
  post(message: Out, transfer?: Transferable[]): void
  /** Called for every message that arrives; set before the first is posted. */
  receive: (message: In) => void
  /** Nothing is sent or received any more. */
  close(): void
}

interface MessageTarget {
  postMessage(message: unknown, transfer: Transferable[]): void
  onmessage: ((event: MessageEvent) => void) | null
}

/** The end of a line whose other end is on another thread. */
export function threadPort<Out, In>(target: MessageTarget, close: () => void): Port<Out, In> {
  const port: Port<Out, In> = {
    post: (message, transfer = []) => target.postMessage(message, transfer),
    receive: () => {},
    close,
  }
  target.onmessage = ({ data }) => port.receive(data as In)
  return port
}

/** Both ends of a line within one thread. A message arrives in a later microtask, in order. */
export function portPair<Here, There>(): [Port<Here, There>, Port<There, Here>] {
  let open = true
  const close = () => {
    open = false
  }
  const deliver =
    <Message>(to: () => { receive(message: Message): void }) =>
    (message: Message) =>
      queueMicrotask(() => {
        if (open) to().receive(message)
      })
  const here: Port<Here, There> = { post: deliver<Here>(() => there), receive: () => {}, close }
  const there: Port<There, Here> = { post: deliver<There>(() => here), receive: () => {}, close }
  return [here, there]
}
