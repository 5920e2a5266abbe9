"""What gunicorn loads."""

from nublado.main import create_app

app = create_app()
