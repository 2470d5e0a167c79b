// Which page the address means, inside the frame that stays.

import { CountriesPage } from './pages/countries'
import { CountryPage } from './pages/country'
import { JourneyPage } from './pages/journey'
import { NotePage } from './pages/note'
import { NoteEditorPage } from './pages/note-editor'
import { NotesPage } from './pages/notes'
import { ReviewPage } from './pages/review'
import { ReviewsPage } from './pages/reviews'
import { SyncPage } from './pages/sync'
import { WelcomePage } from './pages/welcome'
import { Page } from './parts/page'
import { Shell } from './parts/shell'
import { Empty } from './parts/states'
import { Toasts } from './parts/toasts'
import { Update } from './parts/update'
import { type Route, useArrival, useRoute } from './router'
import { useReviews } from './use-reviews'
import { useSettings } from './use-settings'

export function App() {
  const { welcomed } = useSettings()
  return (
    <>
      {welcomed ? <Pages /> : <WelcomePage />}
      <Update />
      <Toasts />
    </>
  )
}

function Pages() {
  const route = useRoute()
  const [page = ''] = route.path
  const { reviews } = useReviews()
  useArrival(route.path.join('/'))
  return (
    <Shell page={page} reviews={reviews?.length ?? 0}>
      <PageOf route={route} />
    </Shell>
  )
}

function PageOf({ route }: { route: Route }) {
  const [page = '', name = '', action] = route.path
  switch (page) {
    case '':
      return <JourneyPage />
    case 'countries':
      return <CountriesPage query={route.query} />
    case 'country':
      return <CountryPage key={name} code={name} />
    case 'notes':
      return <NotesPage />
    case 'note':
      if (name !== 'new' && action !== 'edit') return <NotePage key={name} id={name} />
      return <NoteEditorPage key={`${name} edit`} id={name} query={route.query} />
    case 'reviews':
      return <ReviewsPage />
    case 'review':
      return <ReviewPage key={name} id={name} />
    case 'sync':
      return <SyncPage />
    default:
      return (
        <Page title="Off the map">
          <Empty sign="countries" title="There is no such page">
            <a class="button" href="#/">
              Your journey
            </a>
          </Empty>
        </Page>
      )
  }
}
