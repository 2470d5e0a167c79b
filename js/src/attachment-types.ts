// Attachments as documents show them, and as they are written.

import type { Abortable } from './types.js'

/** An attachment as it is read: a stub, or with `attachments` its data. */
export interface Attachment {
  content_type: string
  /** `md5-` and base64, as CouchDB writes it. */
  digest: string
  /** The generation of the revision that brought it. */
  revpos: number
  /** In bytes. */
  length?: number
  stub?: true
  /** Base64, or with `binary` a Blob. */
  data?: string | Blob
}

/** The content of an attachment; a string is base64. */
export type AttachmentContent = Blob | ArrayBuffer | ArrayBufferView | string

/** An attachment as it is written: with its data, or a stub for what the document has under this name. */
export type WritableAttachment =
  | { content_type?: string; data: AttachmentContent }
  | { stub: true; content_type?: string; digest?: string; revpos?: number; length?: number }
  | Attachment

export interface WritableAttachments {
  /** What is left out is removed. */
  _attachments?: { [name: string]: WritableAttachment }
}

export interface AttachmentOptions extends Abortable {
  rev?: string
}
