package dev.podidentity.agent.doctor;

import dev.podidentity.agent.eksauth.AwsSetup;
import dev.podidentity.agent.eksauth.AwsSetup.Target;
import java.net.URI;
import java.util.Map;
import java.util.Optional;

/** The endpoint of EKS Auth, if it can be determined. */
record EksAuthPlace(Optional<Target> target, Optional<Finding> problem) {

    static EksAuthPlace of(AwsFacts aws, AgentSettings settings, Map<String, String> environment) {
        if (aws.region().value().isEmpty()) {
            return new EksAuthPlace(Optional.empty(), Optional.of(Finding.skip("The endpoint of EKS Auth cannot be determined"
                    + " without a region")));
        }
        try {
            Target target = AwsSetup.eksAuth(aws.region().value().get(), settings.endpoint(), environment);
            target.proxies().proxyFor(target.url());
            return new EksAuthPlace(Optional.of(target), Optional.empty());
        } catch (IllegalArgumentException e) {
            return new EksAuthPlace(
                    Optional.empty(), Optional.of(Finding.fail(e.getMessage(), "With this configuration the agent does not"
                            + " start")));
        }
    }

    /** Returns the proxy for the endpoint. */
    Optional<URI> proxy() {
        return target.flatMap(known -> known.proxies().proxyFor(known.url()));
    }
}
