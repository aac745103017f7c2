# Every target has a line of help: `make help`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo demo-down test test-lab test-fast check-migrations up dev plan deploy rollback backup verify-backup ps logs \
  request releases secret alert-test check-outside images scan-images ship-images verify-image rotate-secrets drift \
  harden audit-host audit lint docs dashboards lock pin bench-host bench-deploy bench-ops bench-api bench-cutover chaos drills fuzz clean

INVENTORY ?= inventories/lab
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# The stack's folder, as the inventory says it.
ROOT = {{ stack_root | default('/opt/moorage') }}
ANSIBLE = ansible-playbook -i $(INVENTORY)

help: ## Lists every target
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Boots a Debian host on this machine, provisions it, deploys the stack, probes it (root)
	@.ci/venv full
	@.ci/demo

demo-down: ## Removes every trace of `make demo`
	@.ci/venv full
	@python -m tests.lab down --name demo

test: ## The whole test suite with its own PostgreSQL, S3 server and lab hosts (root)
	@.ci/venv full
	@.ci/test

test-lab: ## The lab's tests with every case that they know; more than an hour (root)
	@.ci/venv full
	@python -m pytest -v --lab=full tests/lab tests/api/cutover

test-fast: ## House rules, unit and API tests only; no root, no engine
	@.ci/venv full
	@python -m pytest -q tests/house tests/unit tests/roles tests/playbooks tests/api

chaos: ## Commands while server processes and agents are killed at random, in full size: 200 agents, 10,000 commands
	@.ci/venv full
	@mkdir -p .moorage && echo "What the application logs goes to .moorage/chaos.log."
	@python -m pytest -q -s tests/api/commands/test_chaos.py --chaos=full 2>.moorage/chaos.log

drills: ## The long ones on a lab host of their own (root): the runbooks followed to the letter, ten minutes without a bucket, Lynis
	@.ci/venv full
	@MOORAGE_LAB=drills python -m pytest -q -s tests/drills

fuzz: ## Odd requests and frames in full size, 50,000 each: nothing fails, hangs or is undocumented; [SEED=…]
	@.ci/venv full
	@mkdir -p .moorage && echo "What the application logs goes to .moorage/fuzz.log."
	@python -m pytest -q -s --show-capture=no tests/api/fuzz --fuzz=full $(if $(SEED),--fuzz-seed=$(SEED)) 2>.moorage/fuzz.log

check-migrations: ## Migrations up, down and up again on a real PostgreSQL: [POSTGRES_URL=… of a server to throw away]
	@.ci/venv full
	@python -m pytest -q tests/api/database $(if $(POSTGRES_URL),--postgres-url=$(POSTGRES_URL))

up: ## The control plane on 127.0.0.1 (PORT=8000) with embedded PostgreSQL and S3; Ctrl-C stops it
	@.ci/venv local
	@exec moorage up

dev: ## Like `up`, with reloading of the control plane and the example frontend
	@.ci/venv full
	@exec moorage dev

plan: ## What a deploy would change, without touching the host: INVENTORY=… [TAG=…]
	@.ci/venv full
	@$(ANSIBLE) playbooks/deploy.yml --check --diff $(if $(TAG),-e image_tag=$(TAG))

deploy: ## Deploys: INVENTORY=… [TAG=…]
	@.ci/venv full
	@$(ANSIBLE) playbooks/deploy.yml $(if $(TAG),-e image_tag=$(TAG))

rollback: ## Back to the last good release, or to a tag: INVENTORY=… [TAG=…]
	@.ci/venv full
	@$(ANSIBLE) playbooks/rollback.yml $(if $(TAG),-e image_tag=$(TAG))

verify-backup: ## Restores a host's newest backup where nobody is disturbed, and compares: INVENTORY=…
	@.ci/venv full
	@$(ANSIBLE) playbooks/verify_backup.yml

backup: ## Backs a host up now, into every target: INVENTORY=…
	@.ci/venv full
	@$(ANSIBLE) playbooks/backup.yml

ps: ## The containers of a host: INVENTORY=…
	@.ci/venv full
	@ansible moorage -i $(INVENTORY) -m ansible.builtin.command -a "docker compose --project-directory $(ROOT) ps -a"

logs: ## The last log lines of a host's services: INVENTORY=… [SERVICE=…]
	@.ci/venv full
	@ansible moorage -i $(INVENTORY) -m ansible.builtin.command -a "docker compose --project-directory $(ROOT) logs --tail 50 $(SERVICE)"

request: ## Follows a request through a host's logs, by its X-Request-ID: INVENTORY=… ID=…
	@.ci/venv full
	@ansible moorage -i $(INVENTORY) -m ansible.builtin.command \
	  -a "journalctl --no-pager -o short-iso-precise -g $(or $(ID),$(error ID is the X-Request-ID of an answer))"

releases: ## The releases of a host, the last ten: INVENTORY=…
	@.ci/venv full
	@ansible moorage -i $(INVENTORY) -m ansible.builtin.command -a "tail -n 10 $(ROOT)/releases.jsonl"

alert-test: ## Fires a test alert through a host's Alertmanager and says which receiver took it: INVENTORY=…
	@.ci/venv full
	@$(ANSIBLE) playbooks/alert_test.yml

check-outside: ## Asks the product's addresses and monitoring_checks from this machine, not from the host: INVENTORY=…
	@.ci/venv full
	@.ci/check-outside $(INVENTORY)

secret: ## Puts a secret into a host's .env, from a prompt or standard input: NAME=… INVENTORY=…
	@.ci/venv full
	@if [ -t 0 ]; then read -rsp 'Value (not shown): ' SECRET_VALUE; echo; else SECRET_VALUE="$$(cat)"; fi; \
	  export SECRET_VALUE; $(ANSIBLE) playbooks/set_secret.yml -e name=$(NAME) </dev/null

images: ## Builds the product's images and looks for secrets in them: [TAG=…]; with REGISTRY=… like ship-images too
	@.ci/venv full
	@python .ci/images.py build --tag "$(TAG)" $(BUILD)
	@$(if $(REGISTRY),$(MAKE) --no-print-directory ship-images)

scan-images: ## Known vulnerabilities in what `make images` built; fails without data: [TAG=…]
	@.ci/venv full
	@python .ci/images.py scan --tag "$(TAG)"

ship-images: ## Pushes what `make images` built, with SBOM and provenance, signed: [TAG=…] REGISTRY=… [LATEST=main-latest]
	@.ci/venv full
	@python .ci/images.py ship --tag "$(TAG)" --registry "$(REGISTRY)" --latest "$(LATEST)"

verify-image: ## Who signed a tag's images, and their documents; prints the digests: TAG=… REGISTRY=…
	@.ci/venv full
	@python .ci/images.py verify --tag "$(TAG)" --registry "$(REGISTRY)"

rotate-secrets: ## New secrets in the place of the old, with no failed request: INVENTORY=… [ONLY=database,store,signing]
	@.ci/venv full
	@$(ANSIBLE) playbooks/rotate_secrets.yml $(if $(ONLY),-e only=$(ONLY))

drift: ## What of a host is not as the inventory says; changes nothing: INVENTORY=…
	@.ci/venv full
	@$(ANSIBLE) playbooks/drift.yml --check

harden: ## Takes away what a host does not need, and has Lynis judge it: INVENTORY=…
	@.ci/venv full
	@$(ANSIBLE) playbooks/harden.yml

audit-host: ## What would let somebody in, from outside, on the host and in git: INVENTORY=…
	@.ci/venv full
	@$(ANSIBLE) playbooks/audit.yml

audit: ## Known vulnerabilities in every lock, Python's and npm's; fails where it could not ask
	@.ci/venv full
	@python .ci/audit.py

lint: ## All linters
	@.ci/venv full
	@.ci/lint

docs: ## Writes the generated pages of the manual
	@.ci/venv full
	@python .ci/reference.py

dashboards: ## Writes Grafana's dashboards from roles/monitoring/dashboards
	@.ci/venv full
	@python .ci/dashboards.py

lock: ## Resolves the dependencies anew and writes the locks, with hashes
	@.ci/venv full
	@.ci/lock

pin: ## Writes digests of images and commits of actions, where there is a network: INVENTORY=…
	@.ci/venv full
	@python .ci/pin.py $(INVENTORY)/group_vars/moorage/pins.yml .ci/images.yml
	@python .ci/pin.py --actions

bench-host: ## Times site.yml on a lab host: no change, with defaults, with Mitogen, drifts repaired; memory of the stack
	@.ci/venv full
	@python -m tests.bench.host

bench-deploy: ## Deploys and rollbacks under load on a lab host: what was sent, answered, failed; how long each took
	@.ci/venv full
	@python -m tests.bench.deploy

bench-ops: ## Backup and restore of 1 GB beside the bare tools, p95 meanwhile, RPO and RTO of a lost host: [PARTS="speed host"]
	@.ci/venv full
	@python -m tests.bench.ops $(PARTS)

bench-api: ## The API's hot paths beside a bare function, 5,000 sockets held, a command's way: [PARTS="http sockets commands"]; wants wrk
	@.ci/venv full
	@python -m tests.bench.api $(PARTS)

bench-cutover: ## A cutover's sync beside a bare COPY, its verify, and memory over a tenfold larger input: [RECORDS=200000] [EXPORT_GB=5]
	@.ci/venv full
	@RECORDS=$(or $(RECORDS),200000) python -m tests.bench.cutover

clean: ## Removes .venv and .moorage (data of `make up` too)
	@rm -rf .venv .moorage
