// What is known about a country, as a list of names and values. What leads to more countries is a link to them.

import type { ComponentChildren } from 'preact'
import type { Country } from '../data/documents'
import { addressOf } from '../data/filters'
import { areaOf } from './country-list'

export function Facts({ country }: { country: Country }) {
  const native = Object.values(country.name.native ?? {}).map(({ common }) => common)
  const others = [...new Set(native)].filter((name) => name !== country.name.common)
  const demonym = country.demonyms.eng?.m
  return (
    <section aria-labelledby="facts-title">
      <h2 id="facts-title">Facts</h2>
      <dl class="facts">
        <Fact name="In its own words">{others.join(', ')}</Fact>
        <Fact name="Capital">{country.capital.join(', ')}</Fact>
        <Fact name="Region">
          <a href={addressOf({ region: country.region })}>{country.region}</a>
          {country.subregion && (
            <>
              {', '}
              <a href={addressOf({ region: country.region, subregion: country.subregion })}>{country.subregion}</a>
            </>
          )}
        </Fact>
        <Fact name="Languages">
          <Links of={Object.entries(country.languages).map(([language, name]) => [name, addressOf({ language })])} />
        </Fact>
        <Fact name="Currency">
          <Links
            of={Object.entries(country.currencies).map(([currency, { name, symbol }]) => [
              symbol && symbol !== currency ? `${name} (${symbol})` : name,
              addressOf({ currency }),
            ])}
          />
        </Fact>
        <Fact name="Area">{country.area > 0 ? areaOf(country.area) : ''}</Fact>
        <Fact name="People">{demonym}</Fact>
        <Fact name="Status">{statusOf(country)}</Fact>
        <Fact name="Calling code">{callingCode(country)}</Fact>
        <Fact name="Web domain">{country.tld.join(', ')}</Fact>
      </dl>
      <Translations country={country} />
    </section>
  )
}

/** A fact that is not known is left out. */
function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  if (children === '' || children === undefined) return null
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}

function Links({ of }: { of: [name: string, address: string][] }) {
  if (of.length === 0) return <>None</>
  return (
    <>
      {of.map(([name, address], place) => (
        <span key={address}>
          {place > 0 && ', '}
          <a href={address}>{name}</a>
        </span>
      ))}
    </>
  )
}

const languageNames = new Intl.DisplayNames('en', { type: 'language' })

function Translations({ country }: { country: Country }) {
  return (
    <details class="translations">
      <summary>Its name in {Object.keys(country.translations).length} languages</summary>
      <dl class="facts">
        {Object.entries(country.translations).map(([language, { common }]) => (
          <div key={language}>
            <dt>{languageNames.of(language)}</dt>
            <dd lang={language} dir="auto">
              {common}
            </dd>
          </div>
        ))}
      </dl>
    </details>
  )
}

function statusOf(country: Country): string {
  const parts = [country.independent ? 'Independent' : 'Not independent']
  if (country.unMember) parts.push('member of the United Nations')
  if (country.landlocked) parts.push('landlocked')
  return parts.join(', ')
}

/** The root alone where a country has many suffixes, as +1 for the United States. */
function callingCode({ idd }: Country): string {
  const [only] = idd.suffixes
  return idd.suffixes.length === 1 && only !== undefined ? `${idd.root}${only}` : idd.root
}
