import { useEffect, useState } from 'preact/hooks'
import { currentSettings, onSettings, type Settings } from './data/settings'

/** The device's settings, and the page anew when they change. */
export function useSettings(): Settings {
  const [settings, setSettings] = useState(currentSettings)
  useEffect(() => onSettings(() => setSettings(currentSettings())), [])
  return settings
}
