import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { membersOf, withoutMember } from '../../src/channels/json-spans.ts'

const valuesOf = (text: string) =>
  membersOf(text)?.map(({ key, valueStart, valueEnd }) => [key, text.slice(valueStart, valueEnd)])

describe('the members of an object', () => {
  it('are found with their values as they were written', () => {
    expect(valuesOf('{"a":1.0,"b":9007199254740993,"c":"é\\/<x>","d":[1,{"e":"]}"}],"f":{}}')).toEqual([
      ['a', '1.0'],
      ['b', '9007199254740993'],
      ['c', '"é\\/<x>"'],
      ['d', '[1,{"e":"]}"}]'],
      ['f', '{}'],
    ])
  })

  it('are found between spaces and line breaks', () => {
    expect(valuesOf(' \n{ "a" :\t-1e5 ,\r\n "b": [ ] }')).toEqual([
      ['a', '-1e5'],
      ['b', '[ ]'],
    ])
  })

  it('have keys without their escapes', () => {
    expect(valuesOf('{"a\\"b":1,"\\u0073ocket":2,"\\\\":3,"":4}')?.map(([key]) => key)).toEqual([
      'a"b',
      'socket',
      '\\',
      '',
    ])
  })

  it('are none of an empty object, and unknown of anything else', () => {
    expect(membersOf('{ }')).toEqual([])
    expect(['[]', '1', '"{}"', 'null', ''].map((text) => membersOf(text))).toEqual([null, null, null, null, null])
  })

  it('are found at any depth of nesting', () => {
    const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`
    expect(valuesOf(`{"a":${deep},"b":1}`)).toEqual([
      ['a', deep],
      ['b', '1'],
    ])
  })
})

describe('an object without a member', () => {
  it.each([
    ['{"socket":null,"a":1}', '{"a":1}'],
    ['{"a":1,"socket":null}', '{"a":1}'],
    ['{"a":1 , "socket" : "1.2" ,"b":2.0}', '{"a":1,"b":2.0}'],
    ['{"socket":1,"socket":2}', '{}'],
    ['{"a":1}', '{"a":1}'],
  ])('%s becomes %s', (text, rest) => {
    expect(withoutMember(text, membersOf(text) ?? [], 'socket')).toBe(rest)
  })
})

describe('any object', () => {
  const object = fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue(), { noNullPrototype: true })
  const space = fc.constantFrom(0, 1, 3, '\t')

  it('has the members that JSON.parse finds', () => {
    fc.assert(
      fc.property(object, space, (value, indent) => {
        const text = JSON.stringify(value, null, indent)
        const found = (valuesOf(text) ?? []).map(([key, json]) => [key, JSON.parse(json as string)])
        expect(found).toEqual(Object.entries(JSON.parse(text)))
      }),
      { numRuns: 5000 },
    )
  })
})
