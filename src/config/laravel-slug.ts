/**
 * `Str::slug` (laravel/framework `Illuminate/Support/Str.php`), from which Laravel derives its
 * default Redis prefix. Letters become ASCII as voku/portable-ascii does it for English.
 */

/** The slug of a text. Scripts other than Latin and Cyrillic vanish: see `isSlugCertain`. */
export function slug(title: string, separator: '-' | '_'): string {
  const other = separator === '-' ? '_' : '-'
  return toAscii(title)
    .replace(new RegExp(`${other}+`, 'g'), separator)
    .replaceAll('@', `${separator}at${separator}`)
    .toLowerCase()
    .replace(new RegExp(`[^${separator}a-z0-9\\s]+`, 'g'), '')
    .replace(new RegExp(`[${separator}\\s]+`, 'g'), separator)
    .replace(new RegExp(`^${separator}+|${separator}+$`, 'g'), '')
}

/** False when the text holds letters that Laravel may spell in ASCII and we do not know how. */
export function isSlugCertain(title: string): boolean {
  return [...title.normalize('NFC')].every(
    (character) =>
      !/[\p{L}\p{N}\p{Sc}]/u.test(character) || Object.hasOwn(SPELLED, character) || toAscii(character) !== '',
  )
}

function toAscii(title: string): string {
  return [...title]
    .map((character) => (character <= '\x7f' ? character : (SPELLED[character] ?? bare(character))))
    .join('')
}

/** `é` → `e`. Whatever is not a Latin letter with marks vanishes. */
function bare(character: string): string {
  return character.normalize('NFD').replace(/[^\x20-\x7e]+/g, '')
}

/** Letters that are not a plain letter with marks. Case does not matter in a slug. */
const SPELLED: Record<string, string> = spelled(
  'Æ AE æ ae Ǽ AE ǽ ae Œ OE œ oe Ð D ð d Đ D đ d Ø O ø o Ǿ O ǿ o Þ TH þ th ß ss ẞ SS Ħ H ħ h ı i ĸ k Ŀ L ŀ l Ł L ł l ŉ n Ŋ N ŋ n Ŧ T ŧ t ' +
    'Ĳ IJ ĳ ij ſ s Ə E ə e ƒ f ª a º o ¹ 1 ² 2 ³ 3 ¢ c £ PS ¥ YEN € EUR – - — - ' +
    'а a б b в v г g д d е e ё e ж z з z и i й i к k л l м m н n о o п p р r с s т t у u ф f х x ц c ч c ш s щ shh ъ ie ы y э e ю iu я ia ' +
    'ђ dj ѓ gj є je ѕ dz і i ї yi ј j љ lj њ nj ћ c ќ kj џ dz ґ g ' +
    'А a Б b В v Г g Д d Е e Ё e Ж z З z И i Й i К k Л l М m Н n О o П p Р r С s Т t У u Ф f Х x Ц c Ч c Ш s Щ shh Ъ ie Ы y Э e Ю iu Я ia ' +
    'Ђ dj Ѓ gj Є je Ѕ dz І i Ї yi Ј j Љ lj Њ nj Ћ c Ќ kj Џ dz Ґ g',
)

function spelled(pairs: string): Record<string, string> {
  const words = pairs.split(' ')
  const table: Record<string, string> = { '\u00a0': ' ', '\u202f': ' ', '\u2028': ' ', '\u2029': ' ' }
  for (let index = 0; index < words.length; index += 2) table[words[index] ?? ''] = words[index + 1] ?? ''
  // The soft sign is known to leave nothing behind.
  return { ...table, ь: '', Ь: '' }
}
