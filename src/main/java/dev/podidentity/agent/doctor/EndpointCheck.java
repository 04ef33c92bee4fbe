package dev.podidentity.agent.doctor;

import dev.podidentity.agent.eksauth.AwsSetup.Target;
import java.net.InetAddress;
import java.net.URI;
import java.net.UnknownHostException;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** Checks that the name of EKS Auth's endpoint has an address. */
final class EndpointCheck implements Check {

    private final EksAuthPlace place;
    private final Names names;

    EndpointCheck(EksAuthPlace place, Names names) {
        this.place = place;
        this.names = names;
    }

    @Override
    public String name() {
        return "eks-auth-name";
    }

    @Override
    public List<Finding> examine() {
        return List.of(place.problem().orElseGet(() -> finding(place.target().orElseThrow())));
    }

    private Finding finding(Target target) {
        String host = target.url().getHost();
        Optional<URI> proxy = target.proxies().proxyFor(target.url());
        if (proxy.isPresent()) {
            return Finding.ok("The endpoint of EKS Auth is " + target.url() + "; the proxy resolves its name");
        }
        try {
            InetAddress[] addresses = names.addressesOf(host);
            boolean inside = Arrays.stream(addresses).allMatch(InetAddress::isSiteLocalAddress);
            return Finding.ok("The endpoint of EKS Auth is " + target.url() + (target.custom() ? ", as configured" : "")
                    + " at " + addresses[0].getHostAddress() + (inside ? ", inside the VPC" : ""));
        } catch (UnknownHostException e) {
            if (target.custom()) {
                return Finding.fail("The name " + host + " of the configured endpoint has no address", "Check --endpoint");
            }
            String zone = host.substring(host.indexOf('.') + 1).replaceFirst("^[a-z]+(-[a-z]+)+-\\d+\\.", "");
            return Finding.fail("The name " + host + " has no address: private DNS for " + zone + " is missing, or the node's"
                    + " resolver is wrong",
                    "In a private cluster, create an interface VPC endpoint for eks-auth with private DNS; otherwise, make"
                            + " the node's resolver resolve public names");
        }
    }
}
