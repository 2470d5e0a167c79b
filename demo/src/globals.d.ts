/** The edition of the collection, made by the build from its content (vite.config.ts). */
declare const __EDITION__: string
