use super::*;

fn endpoint(host: &str, template: &str) -> Arc<EndpointView> {
    Arc::new(EndpointView {
        key: format!("{host}{template}"),
        aliases: vec![format!("old {host}{template}")],
        method: "GET".into(),
        host: host.into(),
        template: template.into(),
        operation: Some("Op".into()),
        ..EndpointView::default()
    })
}

fn view(endpoints: Vec<Arc<EndpointView>>) -> Arc<CatalogView> {
    Arc::new(CatalogView {
        endpoints,
        ..CatalogView::default()
    })
}

fn described(index: &Index) -> Vec<String> {
    let one = |row: &Row| {
        let host = index.known.hosts.iter().nth(row.host as usize).unwrap();
        format!(
            "{} {} {} {}",
            row.path(),
            row.operation(),
            host,
            row.requests
        )
    };
    index.rows.iter().map(one).collect()
}

/// Taken over row by row or made anew, an index is the same.
#[test]
fn what_has_not_changed_is_taken_over() {
    let all: Vec<_> = (0..9).map(|n| endpoint("a", &format!("/r{n}"))).collect();
    let first = Index::new(view(all.clone()), None);
    let mut next = all;
    next.remove(2);
    next.insert(0, endpoint("A", "/new"));
    let mut changed = next[4].as_ref().clone();
    changed.requests = 7;
    next[4] = Arc::new(changed);
    next.push(endpoint("b", "/z"));
    next.remove(6);
    let view = view(next);
    let taken = Index::new(view.clone(), Some(&first));
    let anew = Index::new(view, None);
    assert_eq!(described(&taken), described(&anew));
    let same = |n: usize, old: usize| Arc::ptr_eq(&taken.rows[n].text, &first.rows[old].text);
    assert!(same(1, 0) && same(2, 1) && same(3, 3) && same(7, 8));
    assert!(!same(4, 4));
    for n in 0..taken.rows.len() {
        let e = taken.endpoint(n);
        assert_eq!(taken.find(&e.key), Some(n));
        assert_eq!(taken.find(&e.aliases[0]), Some(n));
    }
    assert_eq!(taken.find("a/r2"), None);
}

#[tokio::test]
async fn an_index_is_made_once_for_a_view() {
    let catalog = ArcSwap::new(view(vec![endpoint("a", "/x")]));
    let indexes = Indexes::default();
    let (one, two) = tokio::join!(indexes.of(&catalog), indexes.of(&catalog));
    assert!(Arc::ptr_eq(&one, &two));
    catalog.store(view(Vec::new()));
    assert_eq!(indexes.of(&catalog).await.rows.len(), 0);
}
