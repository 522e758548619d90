"""Programs that use Mixpay, to be read and copied."""
