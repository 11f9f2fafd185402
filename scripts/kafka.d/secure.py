# scripts/kafka.d/secure.py -- what `scripts/kafka start --secure` adds to a broker: listeners with TLS and with passwords.
#
# In the broker's directory: tls/ has certificates, made anew for it by openssl, secrets/ a file for each password, and
# `listeners` a line "NAME HOST:PORT" each:
#
#   PLAINTEXT   as ever; its clients may do everything
#   TLS         a certificate of tls/ca.pem for localhost and 127.0.0.1
#   MUTUAL      the same, and clients must show one of that CA: tls/client.pem, tls/client.key (and tls/locked.key, which has a
#               password); that of tls/stranger.pem is somebody else's
#   EXPIRED     a certificate that is not valid any more
#   ELSEWHERE   a certificate for another host
#   LOGIN       no TLS: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER (unsecured tokens)
#   LOGIN_TLS   the same with TLS
#
# Users are alice, who may do everything, and bob, who may do nothing; a token's user is its principal. The passwords are
# long words that nobody writes by accident: tests look for them where they should not be.

import os
import subprocess

NAMES = {'TLS': 'SSL', 'MUTUAL': 'SSL', 'EXPIRED': 'SSL', 'ELSEWHERE': 'SSL', 'LOGIN': 'SASL_PLAINTEXT',
         'LOGIN_TLS': 'SASL_SSL'}
CERTIFICATES = {'TLS': 'server', 'MUTUAL': 'server', 'EXPIRED': 'expired', 'ELSEWHERE': 'elsewhere', 'LOGIN_TLS': 'server'}
PASSWORDS = {'alice': 'canary-alice-7Qx2', 'bob': 'canary-bob-k93Z', 'key': 'canary-key-Vd51'}
SCRAM = ('SCRAM-SHA-256', 'SCRAM-SHA-512')
HERE = 'DNS:localhost,IP:127.0.0.1'
CURVE = ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256')


def openssl(directory, *arguments):
    done = subprocess.run(['openssl', *arguments], cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)
    if done.returncode:
        raise SystemExit('kafka: openssl %s: %s' % (' '.join(arguments), done.stderr))


def make_ca(directory, name):
    openssl(directory, 'req', '-x509', *CURVE, '-nodes', '-days', '2', '-subj', '/CN=leat-' + name, '-keyout', name + '.key',
            '-out', name + '.pem')


def make_certificate(directory, ca, name, hosts, days='2'):
    """NAME.pem, NAME.key, and both in NAME.both.pem, as Java wants them."""
    openssl(directory, 'req', *CURVE, '-nodes', '-subj', '/CN=leat-' + name, '-addext', 'subjectAltName=' + hosts,
            '-keyout', name + '.key', '-out', name + '.csr')
    openssl(directory, 'x509', '-req', '-in', name + '.csr', '-CA', ca + '.pem', '-CAkey', ca + '.key', '-CAcreateserial',
            '-copy_extensions', 'copy', '-days', days, '-out', name + '.pem')
    with open(os.path.join(directory, name + '.both.pem'), 'w', encoding='ascii') as both:
        for part in ('.key', '.pem'):
            with open(os.path.join(directory, name + part), encoding='ascii') as file:
                both.write(file.read())


def make_certificates(directory):
    os.makedirs(directory, mode=0o700, exist_ok=True)
    make_ca(directory, 'ca')
    make_ca(directory, 'other-ca')
    make_certificate(directory, 'ca', 'server', HERE)
    make_certificate(directory, 'ca', 'expired', HERE, '-1')
    make_certificate(directory, 'ca', 'elsewhere', 'DNS:elsewhere.example')
    make_certificate(directory, 'ca', 'client', HERE)
    make_certificate(directory, 'other-ca', 'stranger', HERE)
    openssl(directory, 'pkcs8', '-topk8', '-v2', 'aes-256-cbc', '-in', 'client.key', '-out', 'locked.key', '-passout',
            'pass:' + PASSWORDS['key'])


def make_secrets(directory):
    os.makedirs(directory, mode=0o700, exist_ok=True)
    for name, password in PASSWORDS.items():
        with open(os.path.join(directory, name), 'w', encoding='ascii') as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(password + '\n')


def prepare(directory):
    if not os.path.isdir(os.path.join(directory, 'tls')):
        make_certificates(os.path.join(directory, 'tls'))
        make_secrets(os.path.join(directory, 'secrets'))


def scram_arguments():
    """Of the program that formats the storage."""
    words = []
    for mechanism in SCRAM:
        for user in ('alice', 'bob'):
            words += ['--add-scram', '%s=[name=%s,password=%s]' % (mechanism, user, PASSWORDS[user])]
    return words


def tls_lines(directory, name):
    tls = os.path.join(directory, 'tls')
    prefix = 'listener.name.%s.' % name.lower()
    lines = [prefix + 'ssl.keystore.type=PEM',
             prefix + 'ssl.keystore.location=' + os.path.join(tls, CERTIFICATES[name] + '.both.pem')]
    if name == 'MUTUAL':
        lines += [prefix + 'ssl.client.auth=required', prefix + 'ssl.truststore.type=PEM',
                  prefix + 'ssl.truststore.location=' + os.path.join(tls, 'ca.pem')]
    return lines


def login_lines(name):
    prefix = 'listener.name.%s.' % name.lower()
    common = 'org.apache.kafka.common.security.'
    users = ' '.join('user_%s="%s"' % (user, PASSWORDS[user]) for user in ('alice', 'bob'))
    lines = [prefix + 'sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
             prefix + 'plain.sasl.jaas.config=%splain.PlainLoginModule required %s;' % (common, users)]
    lines += [prefix + '%s.sasl.jaas.config=%sscram.ScramLoginModule required;' % (mechanism.lower(), common)
              for mechanism in SCRAM]
    lines.append(prefix + 'oauthbearer.sasl.jaas.config=%soauthbearer.OAuthBearerLoginModule required '
                 'unsecuredLoginStringClaim_sub="broker";' % common)
    return lines


def settings(directory, ports):
    """Listeners as text, and lines of the server's properties; `ports` by name."""
    lines = ['listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,' +
             ','.join('%s:%s' % item for item in NAMES.items()),
             'authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer',
             'super.users=User:ANONYMOUS;User:alice;User:CN=leat-client']
    for name, protocol in NAMES.items():
        if 'SSL' in protocol:
            lines += tls_lines(directory, name)
        if 'SASL' in protocol:
            lines += login_lines(name)
    return ','.join('%s://127.0.0.1:%d' % item for item in ports.items()), lines
