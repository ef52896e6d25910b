"""A project in a repository, and a pull request on it as GitHub checks it out: head merged in."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path


def git(folder, *words):
    names = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    command = ["git", *names, *words]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@dataclass
class PullRequest:
    """A project whose `main` is the base; what is changed now is the pull request's."""

    project: object
    base: str
    head: str = ""
    merge: str = ""

    @property
    def folder(self):
        return self.project.folder

    def propose(self, *, depth=None):
        """Commit what was changed and check out its merge, as `actions/checkout` does."""
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "-qm", "candidate", "--allow-empty")
        self.head = git(self.folder, "rev-parse", "HEAD")
        git(self.folder, "checkout", "-q", "main")
        git(self.folder, "merge", "-q", "--no-ff", "-m", "merge", "candidate")
        self.merge = git(self.folder, "rev-parse", "HEAD")
        git(self.folder, "checkout", "-q", "--detach", self.merge)
        git(self.folder, "branch", "-qf", "main", self.base)
        return self if depth is None else self._clone(depth)

    def _clone(self, depth):
        folder = self.folder.parent / f"depth-{depth}"
        folder.mkdir()
        git(folder, "init", "-q")
        git(folder, "fetch", "-q", f"--depth={depth}", self.folder.as_uri(), self.merge)
        git(folder, "checkout", "-q", "FETCH_HEAD")
        clone = type(self.project)(folder, self.project.config)
        return PullRequest(clone, self.base, self.head, self.merge)

    def environ(self, event="pull_request", *, base=None):
        """What GitHub tells a job about it."""
        payload = {
            "pull_request": {
                "number": 7,
                "head": {"sha": self.head},
                "base": {"sha": base or self.base},
            },
            "merge_group": {"head_sha": self.head, "base_sha": base or self.base},
        }
        path = self.folder.parent / "event.json"
        path.write_text(json.dumps(payload))
        return {
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(path),
            "GITHUB_SHA": self.merge,
            "GITHUB_REF": "refs/pull/7/merge",
        }

    def judged(self, *arguments, event="pull_request", base=None, **environ):
        """Run the gates on it, on the configuration as it stands in the folder."""
        given = self.environ(event, base=base) | environ
        named = (
            "--config",
            str(self.folder / "model-gates.yml"),
            "--out",
            str(self.folder / "out"),
        )
        return self.project.call("run", *named, *arguments, environ=given)


def opened(project, *, without=()):
    """Commit a project as `main`, without some of its files, and begin a branch with all."""
    project.save()
    git(project.folder, "init", "-q", "-b", "main")
    kept = {name: (project.folder / name).read_bytes() for name in without}
    for name in without:
        (project.folder / name).unlink()
    git(project.folder, "add", "--all")
    git(project.folder, "commit", "-qm", "base")
    base = git(project.folder, "rev-parse", "HEAD")
    git(project.folder, "checkout", "-qb", "candidate")
    for name, raw in kept.items():
        Path(project.folder, name).write_bytes(raw)
    return PullRequest(project, base)
