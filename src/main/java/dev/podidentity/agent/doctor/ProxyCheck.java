package dev.podidentity.agent.doctor;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.util.List;
import java.util.Optional;

/** Checks the proxy for EKS Auth, if there is one. */
final class ProxyCheck implements Check {

    private static final int TIMEOUT_MILLIS = 2_000;

    private final EksAuthPlace place;

    ProxyCheck(EksAuthPlace place) {
        this.place = place;
    }

    @Override
    public String name() {
        return "proxy";
    }

    @Override
    public List<Finding> examine() {
        if (place.target().isEmpty()) {
            return List.of(Finding.skip("The proxy cannot be determined without the endpoint of EKS Auth"));
        }
        Optional<URI> proxy = place.proxy();
        return List.of(proxy.map(ProxyCheck::finding)
                .orElseGet(() -> Finding.ok("HTTPS_PROXY and NO_PROXY set no proxy for EKS Auth")));
    }

    private static Finding finding(URI proxy) {
        // Omits its user name and password.
        String where = proxy.getHost() + ":" + proxy.getPort();
        try (Socket socket = new Socket()) {
            socket.connect(new InetSocketAddress(proxy.getHost(), proxy.getPort()), TIMEOUT_MILLIS);
            return Finding.ok("EKS Auth is called through the proxy " + where);
        } catch (IOException e) {
            return Finding.fail("The proxy " + where + " for EKS Auth does not accept connections",
                    "Check HTTPS_PROXY, or add the host of EKS Auth to NO_PROXY");
        }
    }
}
