"""Sign in with GitHub or Google: to the provider and back."""

from __future__ import annotations

from flask import Blueprint, Response, after_this_request, request

from webapp.auth import attempts, oauth, sessions
from webapp.auth import schemas as s
from webapp.auth.login_routes import device
from webapp.auth.oauth_client import CodeRefused, ProviderError
from webapp.auth.providers import Provider
from webapp.auth.refusals import EmailUnverified, NoTenant, TenantRequired
from webapp.caller import PUBLIC
from webapp.collaborators import collaborators
from webapp.errors import InvalidRequest, MoorageError
from webapp.limits import RateLimited
from webapp.operation import Call, operation

sign_ins = Blueprint("sign_ins", __name__, url_prefix="/api/v1/auth/oauth")

COOKIE = "moorage_oauth"
REFUSALS = (oauth.ProviderEmailUnverified, oauth.NoAccount, EmailUnverified)


class ProviderUnknown(MoorageError):
    status, code, message = 404, "NOT_FOUND", "Nobody signs in here by way of this provider."


class SignInDenied(MoorageError):
    status, code = 403, "OAUTH_DENIED"
    message = "The provider did not sign you in: you said no there, or it did. Begin again."


def chosen(name: str) -> Provider:
    """Raises ProviderUnknown."""
    provider = collaborators().providers.get(name)
    if provider is None:
        raise ProviderUnknown
    return provider


def redirect_uri(provider: str) -> str:
    """Where the provider sends the browser back to, as it is registered there."""
    base = str(collaborators().settings.public_url or request.host_url.rstrip("/"))
    return f"{base}{sign_ins.url_prefix}/{provider}/callback"


@operation(sign_ins, "GET /<provider>/start", summary="Go to GitHub or Google to sign in", tag="auth", allow=PUBLIC,
           query=s.SignInBegin, status=302, transacted=False, raises=(ProviderUnknown, ProviderError))  # fmt: skip
def start(call: Call, provider: str) -> Response:
    """For browsers. `tenant_id` chooses between tenants, as at log-in; who belongs to one needs none."""
    at, secret, browser = chosen(provider), collaborators().settings.session_secret, oauth.new_browser()
    state, back = oauth.begin(secret, provider, browser, call.query.get("tenant_id")), redirect_uri(provider)
    answer = Response(status=302, headers={"Location": at.address(state.errand(browser, back))})
    # Lax: it comes along when the provider sends the browser back, and not with what other pages post.
    answer.set_cookie(
        COOKIE, browser, max_age=oauth.LIVES_SECONDS, path=str(sign_ins.url_prefix), httponly=True, samesite="Lax",
        secure=back.startswith("https://"),
    )  # fmt: skip
    return answer


@operation(sign_ins, "GET /<provider>/callback", summary="Come back from there, and be logged in", tag="auth",
           allow=PUBLIC, query=s.SignInEnd, answer=s.TokensView, transacted=False,
           raises=(*REFUSALS, ProviderUnknown, ProviderError, CodeRefused, SignInDenied, oauth.StateInvalid,
                   TenantRequired, NoTenant, RateLimited))  # fmt: skip
def callback(call: Call, provider: str) -> sessions.Tokens:
    """The provider's answer comes here; its account counts only by a verified e-mail address that a user has."""
    its, where, at, query = collaborators(), device(), chosen(provider), call.query
    attempts.check(its.database, f"login:{where.address}", limit=its.settings.rate_limit_login)
    browser = request.cookies.get(COOKIE, "")
    state = oauth.resume(its.settings.session_keys, query["state"], provider, browser)
    if not attempts.first(its.database, f"oauth:{state.id}"):
        raise oauth.StateInvalid
    after_this_request(_without_cookie)
    if "code" not in query:
        raise SignInDenied if "error" in query else InvalidRequest(details={"code": ["Missing."]})
    profile = at.profile(state.errand(browser, redirect_uri(provider)), query["code"])
    try:
        with its.database.transaction() as session:
            user = oauth.account(session, profile, where)
            return sessions.begin(session, its.settings.session_secret, user, state.tenant, where)
    except REFUSALS as refused:
        with its.database.transaction() as session:
            sessions.note_failure(session, profile.email or "", refused.code, where)
        raise


def _without_cookie(answer: Response) -> Response:
    answer.delete_cookie(COOKIE, path=str(sign_ins.url_prefix))
    return answer
