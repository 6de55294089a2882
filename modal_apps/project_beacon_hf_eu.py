"""The app of Europe: `modal deploy modal_apps/project_beacon_hf_eu.py`. See beacon_app/settings.py."""

from beacon_app.factory import deployment

app = deployment("eu")
