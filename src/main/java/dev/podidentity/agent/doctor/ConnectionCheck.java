package dev.podidentity.agent.doctor;

import java.util.List;

/** Checks that EKS Auth can be reached, and that its certificate is trusted. */
final class ConnectionCheck implements Check {

    private final EksAuthCall call;
    private final EksAuthPlace place;

    ConnectionCheck(EksAuthCall call, EksAuthPlace place) {
        this.call = call;
        this.place = place;
    }

    @Override
    public String name() {
        return "eks-auth";
    }

    @Override
    public List<Finding> examine() {
        return List.of(call.outcome().none().orElseGet(() -> {
            boolean secure = "https".equalsIgnoreCase(place.target().orElseThrow().url().getScheme());
            boolean own = place.target().orElseThrow().ownTrust();
            return Finding.ok("EKS Auth responds" + (secure ? ", with a certificate that is trusted" + (own ? " by AWS_CA_BUNDLE" : "")
                    : ", without TLS"));
        }));
    }
}
