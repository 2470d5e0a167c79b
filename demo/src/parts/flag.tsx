// A country's flag, from the SVG text in its document. As an image it can neither run a script nor clash in its ids.

export function Flag({ svg, width = 48 }: { svg: string; width?: number }) {
  const source = `data:image/svg+xml,${encodeURIComponent(svg)}`
  return <img class="flag" src={source} alt="" width={width} height={(width / 3) * 2} decoding="async" />
}
