"""A mail server that keeps what it is given, a line of JSON each: smtp_server.py PORT SECURITY FOLDER.
SECURITY is starttls, tls or none; but for none, only apitap with its password may send. Recipients
at refused.example are refused."""
import json, ssl, sys, time
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

port, security, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]


class Keep:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.endswith("@refused.example"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        line = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "tls": session.ssl is not None or security == "tls",
                "login": session.auth_data, "text": envelope.content.decode()}
        with open(f"{folder}/mails", "a") as out:
            out.write(json.dumps(line) + "\n")
        return "250 kept"


def login(server, session, envelope, mechanism, data):
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"apitap", b"hunter2")
    return AuthResult(success=right, handled=False, auth_data="apitap")


options = {}
if security != "none":
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
    options = {"authenticator": login, "auth_required": True}
    if security == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    else:
        options |= {"ssl_context": context, "auth_require_tls": False}
controller = Controller(Keep(), hostname="127.0.0.1", port=port, **options)
controller.start()
while True:
    time.sleep(60)
