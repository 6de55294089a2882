"""The app of the United States: `modal deploy modal_apps/project_beacon_hf_us.py`. See beacon_app/settings.py."""

from beacon_app.factory import deployment

app = deployment("us")
