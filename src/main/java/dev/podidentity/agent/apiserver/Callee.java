package dev.podidentity.agent.apiserver;

import dev.podidentity.agent.outbound.CallFailure;
import io.netty.handler.ssl.SslHandshakeTimeoutException;
import java.io.IOException;
import java.net.ConnectException;
import java.net.UnknownHostException;
import java.security.cert.CertificateException;
import java.util.Optional;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;
import javax.net.ssl.SSLException;

/**
 * Names the server of a call in the messages of its failures.
 *
 * @param name the server, as the subject at the start of a sentence
 * @param reach the remedy if the server cannot be reached
 * @param trust the remedy if the server's certificate is not trusted
 */
public record Callee(String name, String reach, String trust) {

    /** A longer chain of causes is assumed to be a cycle. */
    private static final int LONGEST_CHAIN = 20;

    CallFailure late() {
        return failure("did not respond in time: " + reach);
    }

    CallFailure tooLarge(int mostBytes) {
        return failure("sent a response of more than " + mostBytes + " bytes: check that its URL is correct");
    }

    CallFailure closing() {
        return failure("was not called, because the agent is shutting down");
    }

    /** Describes the failure of a call. Omits the exception's text, which was not written for an operator. */
    public CallFailure of(Throwable thrown) {
        Optional<Throwable> known = cause(thrown, CallFailure.class);
        if (known.isPresent()) {
            return (CallFailure) known.get();
        }
        if (cause(thrown, TimeoutException.class).isPresent()) {
            return late();
        }
        if (cause(thrown, UnknownHostException.class).isPresent()) {
            return failure("has a host name that does not resolve: " + reach);
        }
        if (cause(thrown, CertificateException.class).isPresent()) {
            return failure("presented a certificate that is not trusted: " + trust);
        }
        // Although this is an SSLException, a server that does not respond says nothing about its TLS.
        if (cause(thrown, SslHandshakeTimeoutException.class).isPresent()) {
            return late();
        }
        if (cause(thrown, SSLException.class).isPresent()) {
            return failure("failed the TLS handshake: " + trust);
        }
        if (cause(thrown, ConnectException.class).isPresent()) {
            return failure("cannot be reached: " + reach);
        }
        if (cause(thrown, IOException.class).isPresent()) {
            return failure("lost its connection to the agent: " + reach);
        }
        return failure("ended its response early or did not respond with HTTP: " + reach);
    }

    private CallFailure failure(String predicate) {
        return new CallFailure(name + ' ' + predicate, false);
    }

    private static Optional<Throwable> cause(Throwable thrown, Class<? extends Throwable> type) {
        return Stream.iterate(thrown, error -> error != null, Throwable::getCause)
                .limit(LONGEST_CHAIN)
                .filter(type::isInstance)
                .findFirst();
    }
}
