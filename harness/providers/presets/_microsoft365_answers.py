"""The refusals of Microsoft 365's SMTP submission, by name.

[D] documented by Microsoft (learn, support articles, the Exchange team's blog, posts of the service health
dashboard such as MO1221364, EX1224375, EX680695). [P] posted by users, with the tag of their server. [M] from
general knowledge of Exchange. Each ends with the tag of the server that gives it: the front end with date
and session, or, from the mailbox's own server, its host name.
"""

from __future__ import annotations

from harness.providers.smtp.answers import SmtpAnswer, Stage

TAG = "[{frontend}.jpnprd01.prod.outlook.com {iso} 08DE{session}]"
MAILBOX = "{mailbox}.namprd18.prod.outlook.com"
HOSTNAME = f"[Hostname={MAILBOX}]"
CONCURRENT = (
    "4.3.2 Concurrent connections limit exceeded. "
    f"Visit https://aka.ms/concurrent_sending for more information. {HOSTNAME}"
)
QUOTA = f"5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException {HOSTNAME}"
_BY_PASSWORD = ("LOGIN",)


def _auth(text: str, code: int = 535, mechanisms: tuple[str, ...] = ()) -> SmtpAnswer:
    return SmtpAnswer(code=code, text=f"{text} {TAG}", stage=Stage.AUTH, mechanisms=mechanisms)


def _after_the_dot(code: int, text: str, tag: str = TAG) -> SmtpAnswer:
    return SmtpAnswer(code=code, text=f"{text} {tag}", stage=Stage.BODY)


_OUTAGES = {
    "server-busy": SmtpAnswer(  # [D] EX680695, October 2023
        code=451, text=f"4.7.500 Server busy. Please try again later from [{{ip}}]. (S77714) {TAG}"
    ),
    "temporary-server-error": SmtpAnswer(  # [D] MO1221364 and EX1224375, January 2026
        code=451, text=f"4.3.2 Temporary server error. Please try again later ATTR1/ATTR2 {TAG}"
    ),
    "temporary-server-error-prx": SmtpAnswer(  # [M]
        code=451, text=f"4.7.0 Temporary server error. Please try again later. PRX5 {TAG}"
    ),
    "service-not-available": SmtpAnswer(  # [M]
        code=421, text=f"4.3.2 Service not available {TAG}", stage=Stage.CONNECT
    ),
    "service-not-active": SmtpAnswer(  # [M]
        code=421, text=f"4.3.2 Service not active {TAG}", stage=Stage.CONNECT
    ),
    "too-many-connections": SmtpAnswer(  # [P] Outlook.com, July 2025
        code=451,
        text="4.7.652 The mail server [{ip}] has exceeded the maximum number of connections. "
        f"(S3115) {TAG}",
    ),
}

_LIMITS = {
    "concurrent-connections": SmtpAnswer(code=432, text=CONCURRENT, stage=Stage.BODY),  # [D]
    "sender-thread-limit": _after_the_dot(  # [P]
        432, "4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", HOSTNAME
    ),
    "submission-quota": SmtpAnswer(code=554, text=QUOTA, stage=Stage.BODY),  # [D]
    "mailbox-full": _after_the_dot(  # [D]: Sent Items fill the mailbox
        554,
        "5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException."
        "MapiExceptionShutoffQuotaExceeded",
        HOSTNAME,
    ),
}

_POLICY = {
    "send-as-denied": _after_the_dot(  # [P]
        550, "5.7.60 SMTP; Client does not have permissions to send as this sender"
    ),
    "not-authenticated": SmtpAnswer(  # [P]
        code=530, text=f"5.7.57 Client not authenticated to send mail. {TAG}"
    ),
    "unauthenticated-domain": _after_the_dot(  # [D] to large senders, since May 2025
        550,
        "5.7.515 Access denied, sending domain {domain} does not meet the required authentication level. "
        "The sender's domain in the 5322.From address doesn't meet the authentication requirements defined "
        "for the sender.",
    ),
}

_LOGINS = {
    "auth-unsuccessful": _auth("5.7.3 Authentication unsuccessful"),  # [D] for either mechanism
    "auth-temporary-failure": _auth("4.7.0 Temporary authentication failure", 454),  # [M]
    "auth-disabled-for-tenant": _auth(  # [D]
        "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. "
        "Visit https://aka.ms/smtp_auth_disabled for more information."
    ),
    "basic-auth-disabled": _auth(  # [P]
        "5.7.139 Authentication unsuccessful, basic authentication is disabled.", mechanisms=_BY_PASSWORD
    ),
    "auth-criteria-unmet": _auth(  # [P]
        "5.7.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated "
        "successfully."
    ),
    "auth-credentials-incorrect": _auth(  # [P]
        "5.7.139 Authentication unsuccessful, the user credentials were incorrect."
    ),
    "basic-auth-retired": _auth(  # [D] the Exchange team's blog
        "5.7.30 Basic authentication is not supported for Client Submission.", 550, _BY_PASSWORD
    ),
}

NAMED = {**_OUTAGES, **_LIMITS, **_POLICY, **_LOGINS}
