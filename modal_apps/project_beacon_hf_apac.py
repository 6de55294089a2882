"""The app of Asia: `modal deploy modal_apps/project_beacon_hf_apac.py`. See beacon_app/settings.py."""

from beacon_app.factory import deployment

app = deployment("asia")
