"""People who look at the site and vote for nobody: `locust --locustfile visitors.py --host http://ADDRESS`."""

from locust import HttpUser, between, task


class Visitor(HttpUser):
    """Somebody with the page open, who looks at the gallery more often than at the ranking."""

    wait_time = between(1, 5)

    def on_start(self) -> None:
        """Open the page."""
        self.client.get("/")

    @task(3)
    def look_at_the_gallery(self) -> None:
        """Ask for the newest videos."""
        self.client.get("/api/public/videos")

    @task
    def look_at_the_ranking(self) -> None:
        """Ask who leads."""
        self.client.get("/api/public/rankings")
