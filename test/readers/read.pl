# Reads messages as read.js does, with MIME::Parser.
use strict;
use warnings;
use JSON::PP;
use MIME::Base64;
use MIME::Parser;

my $parser = MIME::Parser->new;
$parser->output_to_core(1);
$parser->tmp_to_core(1);
my $json = JSON::PP->new->latin1;
binmode STDIN;
$| = 1;

sub leaves {
    my ($entity) = @_;
    return map { leaves($_) } $entity->parts if $entity->parts;
    my $body = $entity->bodyhandle;
    my $name = $entity->head->recommended_filename;
    return {
        type => $entity->effective_type,
        name => defined $name ? $name : '',
        text => encode_base64($body ? $body->as_string : '', ''),
    };
}

while (read(STDIN, my $head, 4) == 4) {
    my $size = unpack 'N', $head;
    my $raw = '';
    read(STDIN, $raw, $size) == $size or last;
    my $answer = eval { [leaves($parser->parse_data($raw))] };
    $answer = [{ type => 'error', name => '', text => encode_base64("$@", '') }] unless $answer;
    print $json->encode($answer), "\n";
}
