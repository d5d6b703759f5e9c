import type { Page } from 'playwright-core'

type Box = { readonly x: number; readonly y: number; readonly width: number; readonly height: number }

/** How many colours a PNG has, or a place in it. The page reads it, because browsers can. */
export function colorsIn(page: Page, png: Buffer, box?: Box): Promise<number> {
  return page.evaluate(
    async ({ source, box }) => {
      const picture = await createImageBitmap(await (await fetch(source)).blob())
      const { x, y, width, height } = box ?? { x: 0, y: 0, width: picture.width, height: picture.height }
      const brush = new OffscreenCanvas(picture.width, picture.height).getContext('2d')
      brush?.drawImage(picture, 0, 0)
      return new Set(new Uint32Array(brush?.getImageData(x, y, width, height).data.buffer ?? [])).size
    },
    { source: `data:image/png;base64,${png.toString('base64')}`, box },
  )
}
